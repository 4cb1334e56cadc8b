/**
 * Text that a model of stories writes, for its own continue-training: a story a line, as JSON lines.
 *
 *   node studies/conversion/samples.mjs --data FOLDER --runs FOLDER [--study stories15M] [--stories N] [--threads 2]
 *
 * What is there already counts: the same command goes on. Story n is drawn with seed n at temperature 1 and a min-p of 0.001, so that the file does not depend on how often it was stopped, but for rounding: many
 * stories are written at once, and kernels add up otherwise for other numbers of tokens.
 */

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openModel } from '../../dist/import/open-model.js';
import { decodeText, Engine, loadBackend, Sampler, Scheduler } from '../../dist/index.js';
import { tokenizerOfModel } from '../../dist/tokenizer/tokenizer-of-model.js';
import { timeText } from './estimate.mjs';
import { STUDIES } from './plan.mjs';

const AT_ONCE = 64;
/** Weighing 32,000 words for a draw took a third of the time; those that are a thousandth as likely as the likeliest are not missed. */
const MIN_P = 0.001;
const PROGRESS_EVERY = 100;

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    ...{ data: text, runs: text, stories: text },
    ...{ study: { ...text, default: 'stories15M' }, threads: { ...text, default: '2' } },
  },
});
for (const name of ['data', 'runs']) if (!given[name]) throw new Error(`--${name} FOLDER is needed.`);
const study = STUDIES[given.study];
if (!study?.ownSamples) throw new Error(`--study: expected one that trains on samples of its own, got ${given.study}.`);

const folder = path.join(given.runs, 'texts');
mkdirSync(folder, { recursive: true });
const file = path.join(folder, 'samples.jsonl');
const whole = existsSync(file) ? readFileSync(file, 'utf8') : '';
// A kill may leave half a line.
const complete = whole.slice(0, whole.lastIndexOf('\n') + 1);
if (complete !== whole) writeFileSync(file, complete);
const done = complete.split('\n').length - 1;

const backend = await loadBackend({ threads: Number(given.threads) });
const model = openModel(path.join(given.data, study.model), backend);
const tokenizer = tokenizerOfModel(model);
const engine = new Engine(model.config, model.weights, backend, { maxSequences: AT_ONCE });
const scheduler = new Scheduler(engine);

const wanted = Number(given.stories ?? study.ownSamples);
const began = performance.now();
/** Stories begun and not written yet, in their order: the batch stays full while a long one goes on. */
const begun = [];
for (let next = done; next < wanted || begun.length > 0; ) {
  while (begun.length < AT_ONCE && next < wanted) begun.push(story(next++));
  appendFileSync(file, `${JSON.stringify({ text: await begun.shift() })}\n`);
  const written = next - begun.length;
  if (written % PROGRESS_EVERY === 0 || written === wanted) {
    const perSecond = (written - done) / ((performance.now() - began) / 1000);
    const left = written < wanted ? `, ${timeText((wanted - written) / perSecond)} left` : '';
    console.log(`${written} of ${wanted} stories, ${perSecond.toFixed(1)} a second${left}`);
  }
}
scheduler.dispose();
engine.dispose();
backend.dispose();

async function story(seed) {
  const sampler = new Sampler({ temperature: 1, minP: MIN_P, seed });
  const tokens = scheduler.generate(tokenizer.encodePrompt(''), {
    ...{ sampler, stopIds: tokenizer.endIds, maxTokens: model.config.seqLen - 1 },
  });
  let written = '';
  for await (const piece of decodeText(tokens, tokenizer.decodeStream(), [])) written += piece;
  return written.trim();
}
