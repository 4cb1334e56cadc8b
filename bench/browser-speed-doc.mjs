/**
 * Fills the table of browser speed in docs/web.md, from the committed result alone:
 *
 *   node bench/browser-speed-doc.mjs [--results bench/results] [--doc docs/web.md]
 */

import path from 'node:path';
import { speedBlock } from './lib/browser-speed-rows.mjs';
import { writeDocument } from './lib/document.mjs';
import { fillBlocks } from './lib/markdown.mjs';
import { readJson } from './lib/processes.mjs';

/** The result on file in `folder`, or null. */
export function readResult(folder) {
  return readJson(path.join(folder, 'browser-speed.json'));
}

/** The document with its block filled; it has no figures. */
export function generate(text, result) {
  return { text: fillBlocks(text, { 'browser-speed': speedBlock(result) }), figures: {} };
}

if (process.argv[1] === import.meta.filename) writeDocument('web.md', generate, readResult);
