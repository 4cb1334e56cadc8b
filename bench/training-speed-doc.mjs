/**
 * Fills the tables of docs/training-speed.md and draws its figures, from the committed results alone:
 *
 *   node bench/training-speed-doc.mjs [--results bench/results] [--doc docs/training-speed.md] [--figures docs/figures]
 *
 * The prose between the tables is written by hand and stays as it is.
 */

import path from 'node:path';
import { writeDocument } from './lib/document.mjs';
import { fillBlocks } from './lib/markdown.mjs';
import { readJson } from './lib/processes.mjs';
import { figuresOf } from './lib/training-speed-figures.mjs';
import { blocksOf } from './lib/training-speed-tables.mjs';

const PARTS = ['sparsity', 'batch', 'size', 'skips', 'l1', 'bf16', 'wall-clock'];

/** The results that are on file in `folder`, null for those that are not. */
export function readResults(folder) {
  const parts = PARTS.map((part) => [part, readJson(path.join(folder, 'training-speed', `${part}.json`))]);
  const [peers, pruning] = ['train-against-pytorch', 'logit-pruning'].map((name) =>
    readJson(path.join(folder, `${name}.json`)),
  );
  return { ...Object.fromEntries(parts), peers, pruning };
}

/** The document with its blocks filled, and its figures by file name. */
export function generate(text, results) {
  return { text: fillBlocks(text, blocksOf(results)), figures: figuresOf(results) };
}

if (process.argv[1] === import.meta.filename) writeDocument('training-speed.md', generate, readResults);
