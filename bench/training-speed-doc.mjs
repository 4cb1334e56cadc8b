/**
 * Fills the tables of docs/training-speed.md and draws its figures, from the committed results alone:
 *
 *   node bench/training-speed-doc.mjs [--results bench/results] [--doc docs/training-speed.md] [--figures docs/figures]
 *
 * The prose between the tables is written by hand and stays as it is.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fillBlocks } from './lib/markdown.mjs';
import { ROOT, readJson } from './lib/processes.mjs';
import { figuresOf } from './lib/training-speed-figures.mjs';
import { blocksOf } from './lib/training-speed-tables.mjs';

const PARTS = ['sparsity', 'batch', 'size', 'skips', 'l1', 'bf16', 'wall-clock'];

/** The results that are on file in `folder`, null for those that are not. */
export function readResults(folder) {
  const parts = PARTS.map((part) => [part, readJson(path.join(folder, 'training-speed', `${part}.json`))]);
  return { ...Object.fromEntries(parts), peers: readJson(path.join(folder, 'train-against-pytorch.json')) };
}

/** The document with its blocks filled, and its figures by file name. */
export function generate(text, results) {
  return { text: fillBlocks(text, blocksOf(results)), figures: figuresOf(results) };
}

function main() {
  const { values } = parseArgs({
    options: {
      results: { type: 'string', default: path.join(ROOT, 'bench/results') },
      doc: { type: 'string', default: path.join(ROOT, 'docs/training-speed.md') },
      figures: { type: 'string', default: path.join(ROOT, 'docs/figures') },
    },
  });
  const { text, figures } = generate(readFileSync(values.doc, 'utf8'), readResults(values.results));
  writeFileSync(values.doc, text);
  mkdirSync(values.figures, { recursive: true });
  for (const [name, svg] of Object.entries(figures)) writeFileSync(path.join(values.figures, name), svg);
  console.log(`wrote ${values.doc} and ${Object.keys(figures).length} figures`);
}

if (process.argv[1] === import.meta.filename) main();
