/**
 * What the study compares: one dense model, what is made of it without training, and what continue-training and fine-tuning make of it.
 *
 * An entry says how its model comes about. `eval`: the dense checkpoint, run with another sparsity. `derived`: the same weights with another configuration. `calibrate`
 * and `wina`: a checkpoint of its own. `train` and `sft`: a recipe of recipes/. `start` is such a training of one step with a rate of nothing: its validation is where the
 * curves begin. `after` names the entry that `train`, `derived` and `calibrate` begin with instead of the dense one; `share` is of the study's tokens, all where there is none; `options` are those of its own
 * training, behind those of the study.
 *
 * The work is a list of units, an entry and what is measured of it, the cheap ones first: whoever stops early has the most for the time.
 */

import path from 'node:path';
import { finalCheckpoint } from './runs.mjs';

/** Those of recipes/conversions.mjs and fine-tuning.mjs. */
const MODERATE = { qkv: 0.4, o: 0.4, gateUp: 0.4, down: 0.6 };
const HIGH = { qkv: 0.5, o: 0.5, gateUp: 0.5, down: 0.8 };

const TRAINING_FREE = [
  { name: 'dense', kind: 'eval', sparsity: 0 },
  { name: 'topk-30', kind: 'eval', sparsity: 0.3 },
  { name: 'topk-50', kind: 'eval', sparsity: 0.5 },
  { name: 'topk-60', kind: 'eval', sparsity: 0.6 },
  { name: 'topk-as-qsparse', kind: 'derived', sparsity: MODERATE },
  { name: 'topk-as-qsparse-50', kind: 'derived', sparsity: HIGH },
  { name: 'wina-50', kind: 'wina', sparsity: 0.5 },
  { name: 'teal-uniform-50', kind: 'calibrate', sparsity: 0.5 },
  { name: 'teal-40', kind: 'calibrate', sparsity: 0.4, greedy: true },
  { name: 'teal-50', kind: 'calibrate', sparsity: 0.5, greedy: true },
  { name: 'cats-50', kind: 'calibrate', sparsity: { gate: 0.5 } },
];

const train = (name, more = {}) => ({ name, kind: 'train', recipe: `conversions/${name}`, ...more });
const start = (recipe) => ({ name: `start-${recipe}`, kind: 'start', recipe: `conversions/${recipe}` });

const STARTS = [start('dense'), start('qsparse'), start('qsparse-50')];
const TRAINED = [
  train('qsparse'),
  train('dense-trained', { recipe: 'conversions/dense' }),
  train('qsparse-50'),
  // A pair of its own, on a tenth of the tokens: without a teacher, and with one.
  train('qsparse-tenth', { recipe: 'conversions/qsparse', share: 0.1 }),
  train('qsparse-distilled-tenth', { recipe: 'conversions/qsparse-distilled', share: 0.1 }),
  // Two stages share the tokens of the others; the second begins behind those of the first.
  train('relufication-1', { share: 0.5 }),
  train('relufication-2', { share: 0.5, after: 'relufication-1' }),
  train('drelu'),
];
/** Made sparse after the training and not by it: what the training of Q-Sparse is worth beside the same text. */
const MASKED_AFTER = [
  { name: 'topk-after-training', kind: 'derived', sparsity: MODERATE, after: 'dense-trained' },
  { name: 'topk-after-training-50', kind: 'derived', sparsity: HIGH, after: 'dense-trained' },
  { name: 'teal-40-after-training', kind: 'calibrate', sparsity: 0.4, greedy: true, after: 'dense-trained' },
  { name: 'teal-50-after-training', kind: 'calibrate', sparsity: 0.5, greedy: true, after: 'dense-trained' },
];
const FINE_TUNED = ['dense', 'sparse', 'block'].map((recipe) => ({
  ...{ name: `sft-${recipe}`, kind: 'sft', recipe: `fine-tuning/${recipe}` },
}));
/**
 * What is trained at length, on samples of the model itself: the dense model is what they come from and cannot be bettered on them, so that an eighth of the tokens is enough to show
 * how far training on so few of them moves it.
 */
const LONG = [
  start('dense'),
  start('qsparse'),
  train('qsparse'),
  train('dense-trained', { recipe: 'conversions/dense', share: 0.125 }),
];
/** With the model that the samples are of as the teacher: whole distributions in the place of the words that were drawn from them. */
const taught = (share, ...options) => train('qsparse-distilled', { share, options: ['--distill', '1', ...options] });

/** A small model has room for f32 moments. */
const SMALL_TRAINING = [
  ...['--batch-size', '16', '--optimizer-state', 'f32', '--no-recompute'],
  ...['--validate-every', '125', '--save-every', '125'],
];
/** Of what needs no training the methods that differ most; stories260K, a sixtieth of the size, has all of them. */
const isOfStories15M = ({ name }) =>
  ['dense', 'topk-30', 'topk-50', 'topk-as-qsparse', 'teal-40', 'teal-50'].includes(name);
/** Of models that write stories: they train on samples of their own (samples.mjs), and are measured on real stories, each behind the token that begins one. */
const STORIES = { tasks: [], seqLen: 256, prefix: true };

/**
 * What each study is about, and the defaults of its run; `seqLen` in training, `prefix` where windows begin behind the token that begins texts, `parameters` for the estimate of time, `ownSamples`: how many stories the model writes
 * to be trained on itself, 0 where the text is a part of --data.
 */
export const STUDIES = {
  smollm2: {
    model: 'weights/SmolLM2-135M-Instruct-Q4_1.gguf',
    title: 'SmolLM2-135M-Instruct',
    ownSamples: 0,
    entries: [...TRAINING_FREE, ...STARTS, ...TRAINED, ...MASKED_AFTER, ...FINE_TUNED],
    tasks: ['arc_easy', 'hellaswag', 'winogrande', 'truthfulqa_mc2', 'mmlu'],
    options: { tokens: 1_000_000, limit: 100, 'max-tokens': 8192, window: 512 },
    seqLen: 512,
    prefix: false,
    // The same bits in less time: the recipes recompute for a machine of 4 GiB.
    trainingOptions: ['--no-recompute'],
    parameters: 135e6,
  },
  stories15M: {
    ...STORIES,
    model: 'weights/stories15M.bin',
    title: 'stories15M',
    entries: [...TRAINING_FREE.filter(isOfStories15M), ...LONG, taught(2, '--lr', '1e-4')],
    options: { tokens: 2_400_000, limit: 100, 'max-tokens': 32_768, window: 256 },
    parameters: 15e6,
    ownSamples: 8_000,
    // Most of its work is the head; loss for loss the same (bench/results/logit-pruning.json).
    trainingOptions: [...SMALL_TRAINING, '--lr', '5e-5', '--logit-pruning', '1e-5'],
  },
  stories260K: {
    ...STORIES,
    model: 'weights/stories260K.bin',
    title: 'stories260K',
    entries: [...TRAINING_FREE, ...LONG, taught(0.5)],
    options: { tokens: 20_000_000, limit: 100, 'max-tokens': 65_536, window: 256 },
    parameters: 260e3,
    ownSamples: 6_000,
    trainingOptions: [...SMALL_TRAINING, '--lr', '1e-3'],
  },
};

/** What is measured of an entry, in the order of what it takes. */
const MEASURED = {
  eval: ['perplexity', 'activated', 'tasks'],
  derived: ['perplexity', 'activated', 'tasks'],
  wina: ['perplexity', 'activated', 'tasks'],
  calibrate: ['perplexity', 'activated', 'tasks'],
  start: ['training'],
  train: ['training', 'perplexity', 'activated', 'tasks'],
  sft: ['training', 'perplexity', 'activated', 'tasks'],
};
/** Has the model of an entry been trained, further than the one step of a start? */
export function isTrained({ kind }) {
  return kind === 'train' || kind === 'sft';
}

/** Is the model of an entry the dense one as it came, with nothing trained? */
export function isTrainingFree({ kind, after }) {
  return ['eval', 'derived', 'wina', 'calibrate'].includes(kind) && after === undefined;
}

/** `{ entry, part }` in order: what needs no training, text by text and then tasks; then each training with all that is measured of it. */
export function unitsOf(study, wanted) {
  const entries = planned(STUDIES[study].entries, wanted);
  const hasTasks = STUDIES[study].tasks.length > 0;
  const unitsFor = (entry) =>
    MEASURED[entry.kind].filter((part) => part !== 'tasks' || hasTasks).map((part) => ({ entry, part }));
  const isCheap = (entry) => isTrainingFree(entry) || entry.kind === 'start';
  const cheap = entries.filter(isCheap).flatMap(unitsFor);
  const rank = ({ part }) => ['perplexity', 'activated', 'tasks', 'training'].indexOf(part);
  const dear = entries.filter((entry) => !isCheap(entry)).flatMap(unitsFor);
  return [...cheap.toSorted((a, b) => rank(a) - rank(b)), ...dear];
}

/** Does the model of an entry depend on --tokens? An epoch of conversations and a first step do not. */
export function isOfLength({ kind, after }) {
  return kind === 'train' || after !== undefined;
}

/** Those named, or whose name holds one of `wanted` where none has just that name; with those that they begin with, and in their order. */
export function planned(entries, wanted) {
  if (!wanted) return entries;
  const chosen = new Set();
  const choose = (entry) => {
    if (entry.after) choose(entries.find(({ name }) => name === entry.after));
    chosen.add(entry);
  };
  for (const part of wanted) {
    const named = entries.filter(({ name }) => name === part);
    const found = named.length > 0 ? named : entries.filter(({ name }) => name.includes(part));
    if (found.length === 0)
      throw new Error(`no entry is called "${part}": ${entries.map(({ name }) => name).join(', ')}`);
    found.forEach(choose);
  }
  return entries.filter((entry) => chosen.has(entry));
}

/** `0.4`, or `qkv=0.4,o=0.4`, as the command line has it. */
export function sharesText(sparsity) {
  if (typeof sparsity === 'number') return String(sparsity);
  return Object.entries(sparsity)
    .map(([point, share]) => `${point}=${share}`)
    .join(',');
}

/**
 * How the model of an entry is made: `steps`, each with what is there when it is done (`made`, a directory that appears whole, or `run`, one that goes on); `run`, whose last checkpoint is
 * the model to evaluate, or else `evaluated`, the model, with its `sparsity`; evaluations are saved in files whose names begin with `items`. What was trained on another number of
 * tokens lies elsewhere. `args` (of a command) and `derive` are functions, called when what they begin with is there. `settings`: runs, model, texts (texts.mjs), tokens, seqLen,
 * trainingOptions.
 */
export function making(entry, settings) {
  const { runs, model, texts, tokens, seqLen, trainingOptions } = settings;
  const base = path.join(runs, 'base');
  const folder = isOfLength(entry) ? path.join(runs, `tokens-${tokens}`) : runs;
  const out = path.join(folder, entry.name);
  const from = () => (entry.after ? finalCheckpoint(path.join(folder, entry.after)) : base);
  const items = path.join(folder, 'items', entry.name);
  const trained = (args) => ({ steps: [first, { run: out, args }], run: out, items: `${items}-final` });
  const first = { made: base, args: () => ['convert', model, base, '--to', 'checkpoint'] };
  const onText = ['--text', ...texts.trained, '--out', out, '--seq-len', String(seqLen)];
  switch (entry.kind) {
    case 'eval':
      return { steps: [first], evaluated: base, sparsity: entry.sparsity, items };
    case 'derived':
      return {
        steps: [first, { made: out, derive: () => ({ from: from(), sparsity: entry.sparsity }) }],
        ...{ evaluated: out, items },
      };
    case 'wina': {
      const wina = path.join(runs, 'wina');
      const args = () => ['convert', base, wina, '--to', 'checkpoint', '--wina'];
      return { steps: [first, { made: wina, args }], evaluated: wina, sparsity: entry.sparsity, items };
    }
    case 'calibrate': {
      const greedy = entry.greedy ? ['--allocation', 'greedy'] : [];
      const how = ['--sparsity', sharesText(entry.sparsity), ...greedy, '--max-tokens', '8192'];
      const args = () => ['calibrate', from(), ...how, '--text', texts.calibration, '--out', out];
      return { steps: [first, { made: out, args }], evaluated: out, items };
    }
    case 'start': {
      const still = ['--steps', '1', '--lr', '1e-12', '--warmup', '0', '--save-every', '0'];
      return trained(() => ['continue', base, '--recipe', entry.recipe, ...onText, ...trainingOptions, ...still]);
    }
    case 'train': {
      const own = String(trainedTokens(entry, settings));
      const length = ['--tokens', own, ...(entry.after ? ['--skip-tokens', own] : [])];
      const options = [...trainingOptions, ...(entry.options ?? [])];
      return trained(() => ['continue', from(), '--recipe', entry.recipe, ...onText, ...options, ...length]);
    }
    case 'sft': {
      const rows = ['--seq-len', String(seqLen), '--validate-every', '50', '--save-every', '50', '--keep', '1'];
      const quiet = ['--detail-every', '0', '--sample-every', '0'];
      const onConversations = ['--data', ...texts.conversations, '--out', out, ...rows, ...quiet];
      return trained(() => ['sft', from(), '--recipe', entry.recipe, ...onConversations]);
    }
  }
}

/** The tokens that an entry trains on; 0 where it trains on none. An epoch of conversations is what it is. */
export function trainedTokens(entry, { tokens, seqLen }) {
  if (entry.kind === 'start') return 4 * seqLen;
  if (entry.kind === 'sft') return CONVERSATION_TOKENS;
  return entry.kind === 'train' ? Math.round((entry.share ?? 1) * tokens) : 0;
}

/** Of texts.mjs, about: for the estimate of time alone. */
const CONVERSATION_TOKENS = 223_000;
