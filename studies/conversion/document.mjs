/**
 * Fills the tables of docs/conversion.md and draws its figures, from the committed results alone:
 *
 *   node studies/conversion/document.mjs [--results studies/conversion/results] [--doc docs/conversion.md] [--figures docs/figures]
 *
 * The prose between the tables is written by hand and stays as it is.
 */

import path from 'node:path';
import { writeDocument } from '../../bench/lib/document.mjs';
import { fillBlocks } from '../../bench/lib/markdown.mjs';
import { figuresOf } from './figures.mjs';
import { Results } from './results.mjs';
import { blocksOf } from './tables.mjs';

export const RESULTS = path.join(import.meta.dirname, 'results');

/** The document with its blocks filled, and its figures by file name. */
export function generate(text, results) {
  const figures = figuresOf(results);
  return { text: fillBlocks(text, blocksOf(results, figures)), figures };
}

if (process.argv[1] === import.meta.filename) {
  writeDocument('conversion.md', generate, (folder) => Results.read(folder), RESULTS);
}
