/** uPlot (MIT) as text, to be written into a page: the chart library of the report, from the installed package. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export interface UplotAssets {
  script: string;
  style: string;
}

/** The minified script, which defines the global `uPlot`, and its style sheet. */
export function readUplotAssets(): UplotAssets {
  const { resolve } = createRequire(import.meta.url);
  return {
    script: readFileSync(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
    style: readFileSync(resolve('uplot/dist/uPlot.min.css'), 'utf8'),
  };
}
