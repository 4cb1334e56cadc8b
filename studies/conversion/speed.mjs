/**
 * Seconds of the study's models: each packed as int8 and decoded, dense and as it is sparse in turns, by `qsparse bench decode`.
 *
 *   node studies/conversion/speed.mjs --runs FOLDER [--study smollm2] [--only topk,qsparse] [--tokens 1000000] [--repeat 5] [--threads 2] [--out FILE]
 *
 * What run.mjs made is packed below --runs/int8. Nothing else may run meanwhile. Results are written after each model and what is on file is skipped; take the file away to measure anew.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { processorFlags, qsparse, readJson, writeJson } from '../../bench/lib/processes.mjs';
import { making, planned, STUDIES } from './plan.mjs';

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    ...{ study: { ...text, default: 'smollm2' }, runs: text, only: text, out: text, tokens: text },
    ...{ repeat: { ...text, default: '5' }, threads: { ...text, default: '2' } },
  },
});
if (!given.runs) throw new Error('--runs FOLDER is needed: the one of studies/conversion/run.mjs.');
const study = STUDIES[given.study];
if (!study) throw new Error(`--study: expected one of ${Object.keys(STUDIES).join(', ')}, got ${given.study}.`);
const out = given.out ?? path.join(import.meta.dirname, 'results', `${given.study}-speed.json`);
const runs = path.resolve(given.runs);
const texts = { trained: [], conversations: [] };
const tokens = Number(given.tokens ?? study.options.tokens);
const settings = { runs, model: '', texts, tokens, seqLen: study.seqLen, trainingOptions: [] };

for (const entry of planned(study.entries, given.only?.split(','))) {
  if (entry.kind === 'start' || readJson(out)?.models?.[entry.name]) continue;
  const { evaluated, sparsity } = making(entry, settings);
  if (!existsSync(evaluated)) continue;
  const packed = path.join(runs, 'int8', path.relative(runs, evaluated));
  if (!existsSync(packed)) qsparse(['convert', evaluated, packed, '--dtype', 'int8', '--threads', given.threads]);
  const how = ['--repeat', given.repeat, '--threads', given.threads];
  const { machine, rows } = qsparse(['bench', 'decode', packed, ...how, ...sharesOf(sparsity)]);
  const dense = rows.find((row) => row.sparsity === 0);
  const own = rows.at(-1);
  const measured = {
    ...{ msPerToken: own.msPerToken, denseMsPerToken: dense.msPerToken, overDense: own.speedupOverDense },
    ...{ zeros: own.zeros, selectShare: own.selectShare, spread: own.spread },
  };
  const models = { ...readJson(out)?.models, [entry.name]: measured };
  writeJson(out, { study: given.study, machine, processor: processorFlags(), repeat: Number(given.repeat), models });
  console.log(
    `${entry.name}: ${own.msPerToken.toFixed(2)} ms a token, ${own.speedupOverDense.toFixed(2)} of its dense self`,
  );
}

function sharesOf(sparsity) {
  return sparsity === undefined ? [] : ['--sparsity', sparsity === 0 ? '0' : `0,${sparsity}`];
}
