/**
 * Decoding with drafts and without, of a trained model: what speculation (src/infer/speculation.ts) is worth where each token reads weights of its
 * own, and where all read the same.
 *
 *   node bench/speculation.mjs MODEL --text FILE [--prompts 4] [--tokens 96] [--repeat 3] [--threads 2]
 *
 * MODEL is a run or a packed model, FILE the text that prompts are cut from. Prints one JSON object as `qsparse bench` does. A row is a way of
 * drafting:
 *
 *   - plain: one token a run;
 *   - measured: as the product does, drafts where the measured cost of a run says that they pay;
 *   - always: four drafted tokens wherever the text has said the same before, whatever it costs.
 *
 * dense: no selection, nothing skipped; trained: as the model was trained. All rows take turns. With int8 and ternary weights the tokens must be
 * those of plain decoding, or the program ends.
 */

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureRounds, speedup, spread } from '../dist/bench/rounds.js';
import { currentCommit } from '../dist/cli/bench/current-commit.js';
import { describeMachine } from '../dist/cli/shared/machine.js';
import {
  Engine,
  generateTokens,
  loadBackend,
  loadModel,
  measureStepCost,
  Sampler,
  Speculation,
  Tokenizer,
} from '../dist/index.js';
import { median } from './lib/statistics.mjs';

const PROMPT_TOKENS = 64;
const ALWAYS = 4;
const MAX_DRAFT = 8;
const TEMPERATURES = [0, 0.8];
const WAYS = ['plain', 'measured', 'always'];
const DENSE = { qkv: 0, o: 0, gateUp: 0, down: 0 };
const NO_PROGRESS = { update() {}, done() {} };
/** Whose products add whole numbers, so that a token does not depend on how many are run at once. */
const EXACT = ['int8', 'ternary'];

const text = { type: 'string' };
const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    text,
    prompts: { ...text, default: '4' },
    tokens: { ...text, default: '96' },
    repeat: { ...text, default: '3' },
    threads: { ...text, default: '2' },
  },
});
const [path] = positionals;
if (path === undefined || given.text === undefined) throw new Error('expected MODEL and --text FILE.');

const backend = await loadBackend({ threads: Number(given.threads) });
const model = loadModel(path, backend);
const [dtype] = model.dtypes.projections;
const prompts = promptsOf(Tokenizer.fromJson(model.tokenizer).encode(readFileSync(given.text, 'utf8')));
const sides = [0, null].map(openSide);
const variants = sides.flatMap((side) =>
  TEMPERATURES.flatMap((temperature) => WAYS.map((drafts) => ({ side, temperature, drafts }))),
);
/** Of the last round, by variant: the ids of all prompts. */
const texts = new Map();

const rounds = { label: 'measuring', repeat: Number(given.repeat), progress: NO_PROGRESS };
const values = await measureRounds(variants, measure, { ...rounds, signal: new AbortController().signal });
checkTexts();
const machine = { ...describeMachine(), backend: backend.description, threads: backend.threads };
const peakProcessBytes = process.resourceUsage().maxRSS * 1024;
const report = { bench: 'speculation', machine, commit: currentCommit(), peakProcessBytes, rows: variants.map(rowOf) };
console.log(JSON.stringify(report, null, 1));

/** Prompts from places all over the text. */
function promptsOf(ids) {
  const count = Number(given.prompts);
  const apart = Math.floor((ids.length - PROMPT_TOKENS) / count);
  if (apart < 1)
    throw new Error(`${given.text} is too short: expected ${count + PROMPT_TOKENS} tokens, got ${ids.length}.`);
  return Array.from({ length: count }, (_, i) => ids.slice(i * apart, i * apart + PROMPT_TOKENS));
}

/** An engine, and what a run of so many tokens costs on it. */
function openSide(sparsity) {
  const maxTokens = PROMPT_TOKENS + Number(given.tokens);
  const engine = new Engine(model.config, model.weights, backend, { maxTokens, skipNaturalZeros: sparsity === null });
  const options = sparsity === 0 ? { sparsity: DENSE } : {};
  const costOf = measureStepCost(engine, { ...options, maxTokens: MAX_DRAFT + 1, repeats: 15 });
  return { sparsity, engine, options, costOf };
}

/** All prompts, one after the other: the tokens behind the first one of each, their runs, what was drafted, and the time. */
async function measure(variant) {
  const { side, temperature, drafts } = variant;
  const counts = { tokens: 0, runs: 0, drafted: 0, ms: 0 };
  const ids = [];
  for (const [seed, prompt] of prompts.entries()) {
    const counted = countRuns(side.engine, counts);
    const options = {
      ...side.options,
      sampler: new Sampler({ temperature, seed }),
      maxTokens: Number(given.tokens),
      ...(drafts !== 'plain' && { speculation: speculationOf(drafts, side) }),
    };
    let begin = 0;
    for await (const { id } of generateTokens(counted, prompt, options)) {
      ids.push(id);
      if (begin !== 0) counts.tokens++;
      else {
        begin = performance.now();
        counted.counts = true;
      }
    }
    counts.ms += performance.now() - begin;
  }
  texts.set(variant, ids);
  return counts;
}

/** With a cost that never grows every draft seems to pay. */
function speculationOf(drafts, { costOf }) {
  if (drafts === 'measured') return new Speculation({ costOf, maxDraft: MAX_DRAFT });
  return new Speculation({ costOf: () => 1, maxDraft: ALWAYS });
}

/** The engine as a TokenModel that adds its runs to `counts` once its own `counts` is true: not those of the prompt. */
function countRuns(engine, counts) {
  const { vocabSize, maxTokens, maxSequences, maxBatchTokens } = engine;
  return {
    ...{ vocabSize, maxTokens, maxSequences, maxBatchTokens, counts: false },
    createSequence: (options) => engine.createSequence(options),
    run(batch) {
      if (this.counts) {
        counts.runs++;
        counts.drafted += batch[0].ids.length - 1;
      }
      return engine.run(batch);
    },
  };
}

function plainOf({ side, temperature }) {
  return variants.find((one) => one.side === side && one.temperature === temperature && one.drafts === 'plain');
}

function checkTexts() {
  if (!EXACT.includes(dtype)) return;
  for (const variant of variants) {
    const [own, plain] = [texts.get(variant), texts.get(plainOf(variant))].map(String);
    if (own !== plain) throw new Error(`${dtype}: drafts (${variant.drafts}) changed the text.`);
  }
}

function rowOf(variant, v) {
  const { side, temperature, drafts } = variant;
  const [{ tokens, runs, drafted }] = values[v];
  const ms = (index) => values[index].map((one) => one.ms);
  const msPerToken = median(ms(v)) / tokens;
  const costOver1 = (count) => side.costOf(count) / side.costOf(1);
  return {
    dtype,
    sparsity: side.sparsity,
    temperature,
    drafts,
    tokens,
    zeros: side.sparsity === 0 ? 0 : side.engine.statistics.modelSparsity(),
    tokensPerRun: tokens / runs,
    drafted,
    acceptedShare: drafted > 0 ? (tokens - runs) / drafted : null,
    msPerToken,
    tokensPerSecond: 1000 / msPerToken,
    speedupOverPlain: speedup(ms(variants.indexOf(plainOf(variant))), ms(v)),
    ...{ cost2: costOver1(2), cost3: costOver1(3), cost5: costOver1(5), cost9: costOver1(9) },
    spread: spread(ms(v)),
  };
}
