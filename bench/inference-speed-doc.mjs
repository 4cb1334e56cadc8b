/**
 * Fills the tables of docs/inference-speed.md and draws its figures, from the committed results alone:
 *
 *   node bench/inference-speed-doc.mjs [--results bench/results] [--doc docs/inference-speed.md] [--figures docs/figures]
 *
 * The prose between the tables is written by hand and stays as it is.
 */

import path from 'node:path';
import { writeDocument } from './lib/document.mjs';
import { figuresOf } from './lib/inference-speed-figures.mjs';
import { blocksOf, PARTS } from './lib/inference-speed-tables.mjs';
import { fillBlocks } from './lib/markdown.mjs';
import { readJson } from './lib/processes.mjs';

/** The results that are on file in `folder`, null for those that are not. */
export function readResults(folder) {
  const parts = PARTS.map((part) => [part, readJson(path.join(folder, 'inference-speed', `${part}.json`))]);
  return Object.fromEntries(parts);
}

/** The document with its blocks filled, and its figures by file name. */
export function generate(text, results) {
  return { text: fillBlocks(text, blocksOf(results)), figures: figuresOf(results) };
}

if (process.argv[1] === import.meta.filename) writeDocument('inference-speed.md', generate, readResults);
