/** Writes a document of docs/ that is made from results, with its figures: the command line of the generators. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './processes.mjs';

/**
 * `generate(text, results)` gives `{ text, figures: { file name: SVG } }`; `readResults(folder)` the results of a
 * folder, of `results` where the command line names none.
 */
export function writeDocument(name, generate, readResults, results = path.join(ROOT, 'bench/results')) {
  const { values } = parseArgs({
    options: {
      results: { type: 'string', default: results },
      doc: { type: 'string', default: path.join(ROOT, 'docs', name) },
      figures: { type: 'string', default: path.join(ROOT, 'docs/figures') },
    },
  });
  const { text, figures } = generate(readFileSync(values.doc, 'utf8'), readResults(values.results));
  writeFileSync(values.doc, text);
  mkdirSync(values.figures, { recursive: true });
  for (const [file, svg] of Object.entries(figures)) writeFileSync(path.join(values.figures, file), svg);
  console.log(`wrote ${values.doc} and ${Object.keys(figures).length} figures`);
}
