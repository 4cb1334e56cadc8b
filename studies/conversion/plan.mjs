/**
 * What the study compares: one dense model, what is made of it without training, and what continue-training makes of it, in the order in which they are worth
 * having.
 *
 * Each entry says how its model comes about. `eval`: the base, evaluated with another sparsity. `calibrate` and `wina`: a checkpoint of its own. `train`: a recipe of
 * recipes/conversions.mjs; `after` names the entry whose run it begins with instead of the base.
 */

import path from 'node:path';

const SHARES = { topk40: { qkv: 0.4, o: 0.4, gateUp: 0.4, down: 0.6 } };

export const PLAN = [
  { name: 'dense', kind: 'eval', sparsity: 0 },
  { name: 'topk-30', kind: 'eval', sparsity: 0.3 },
  { name: 'topk-50', kind: 'eval', sparsity: 0.5 },
  { name: 'topk-60', kind: 'eval', sparsity: 0.6 },
  { name: 'wina-50', kind: 'wina', sparsity: 0.5 },
  { name: 'teal-40', kind: 'calibrate', sparsity: 0.4 },
  { name: 'teal-50', kind: 'calibrate', sparsity: 0.5 },
  { name: 'teal-as-qsparse', kind: 'calibrate', sparsity: SHARES.topk40 },
  { name: 'cats-50', kind: 'calibrate', sparsity: { gate: 0.5 } },
  { name: 'qsparse-trained', kind: 'train', recipe: 'conversions/qsparse' },
  { name: 'dense-trained', kind: 'train', recipe: 'conversions/dense' },
  { name: 'qsparse-50-trained', kind: 'train', recipe: 'conversions/qsparse-50' },
  { name: 'qsparse-distilled', kind: 'train', recipe: 'conversions/qsparse-distilled' },
  { name: 'qsparse-50-distilled', kind: 'train', recipe: 'conversions/qsparse-50-distilled' },
  { name: 'relufication-1', kind: 'train', recipe: 'conversions/relufication-1' },
  { name: 'relufication', kind: 'train', recipe: 'conversions/relufication-2', after: 'relufication-1' },
  { name: 'drelu', kind: 'train', recipe: 'conversions/drelu' },
  { name: 'block', kind: 'train', recipe: 'conversions/block' },
];

/** The entries whose name holds one of `wanted`, with those that they begin with; all of them without. */
export function planned(wanted) {
  if (!wanted) return PLAN;
  const chosen = new Set();
  const choose = (entry) => {
    if (entry.after) choose(PLAN.find(({ name }) => name === entry.after));
    chosen.add(entry);
  };
  for (const entry of PLAN) if (wanted.some((part) => entry.name.includes(part))) choose(entry);
  return PLAN.filter((entry) => chosen.has(entry));
}

/** `0.4`, or `qkv=0.4,o=0.4`, as the command line has it. */
export function sharesText(sparsity) {
  if (typeof sparsity === 'number') return String(sparsity);
  return Object.entries(sparsity)
    .map(([point, share]) => `${point}=${share}`)
    .join(',');
}

/** Where things lie below --runs. */
export function places(runs) {
  return {
    base: path.join(runs, 'base'),
    wina: path.join(runs, 'wina'),
    of: ({ name }) => path.join(runs, name),
    items: ({ name }, what) => path.join(runs, 'items', `${name}-${what}.jsonl`),
  };
}

/**
 * The commands that make the model of an entry, each with what is there when it is done, and the model to evaluate. `model` is what the study is about; `train` the
 * options of every training.
 */
export function stepsOf(entry, { runs, model, text, calibrationText, train }) {
  const at = places(runs);
  const base = { done: at.base, args: ['convert', model, at.base, '--to', 'checkpoint'] };
  const out = at.of(entry);
  switch (entry.kind) {
    case 'eval':
      return { commands: [base], evaluated: at.base, sparsity: entry.sparsity };
    case 'wina': {
      const wina = { done: at.wina, args: ['convert', at.base, at.wina, '--to', 'checkpoint', '--wina'] };
      return { commands: [base, wina], evaluated: at.wina, sparsity: entry.sparsity };
    }
    case 'calibrate': {
      const args = [
        'calibrate',
        at.base,
        '--sparsity',
        sharesText(entry.sparsity),
        '--text',
        calibrationText,
        '--out',
        out,
      ];
      return { commands: [base, { done: out, args }], evaluated: out };
    }
    case 'train': {
      const from = entry.after ? at.of({ name: entry.after }) : at.base;
      const args = ['continue', from, '--recipe', entry.recipe, '--text', ...text, '--out', out, ...train];
      return { commands: [base, { run: out, args }], evaluated: out };
    }
  }
}
