/**
 * Seconds of the study's models: each packed as int8 and decoded, dense and as it is sparse in turns, by `qsparse bench decode`.
 *
 *   node studies/conversion/speed.mjs --runs FOLDER [--study smollm2] [--only topk,qsparse] [--tokens 1000000] [--repeat 5] [--threads 2] [--out FILE]
 *
 * What run.mjs made is packed below --runs/int8; models with ReLU gates once more by `--layout auto`, by channel where enough gates are closed, with the first packing as their dense twin.
 * Runs that are not finished are passed over. Nothing else may run meanwhile. Results are written after each model and what is on file is skipped; take the file away to measure anew.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { processorFlags, qsparse, readJson, writeJson } from '../../bench/lib/processes.mjs';
import { readSafetensorsHeader } from '../../dist/formats/safetensors.js';
import { isTrained, making, planned, STUDIES } from './plan.mjs';
import { finalCheckpoint, isFinished } from './runs.mjs';

/** Has the model `from`, a path below --runs, been measured? A training of another length is another model. */
export function isTimed(speeds, entry, from) {
  return speeds?.[entry.name]?.from === from;
}

async function main() {
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
  const tokens = Number(given.tokens ?? study.options.tokens);
  const settings = {
    runs,
    model: '',
    texts: { trained: [], conversations: [] },
    tokens,
    seqLen: study.seqLen,
    trainingOptions: [],
  };

  for (const entry of planned(study.entries, given.only?.split(','))) {
    if (entry.kind === 'start') continue;
    const { run, evaluated, sparsity } = making(entry, settings);
    if (isTrained(entry) ? !isFinished(run) : !existsSync(evaluated)) continue;
    const model = isTrained(entry) ? finalCheckpoint(run) : evaluated;
    const from = path.relative(runs, model);
    if (isTimed(readJson(out)?.models, entry, from)) continue;
    const how = ['--repeat', given.repeat, '--threads', given.threads, ...sharesOf(sparsity)];
    const { machine, rows } = qsparse([
      'bench',
      'decode',
      ...packed(model, path.join(runs, 'int8', from), given),
      ...how,
    ]);
    const dense = rows.find((row) => row.sparsity === 0);
    const own = rows.at(-1);
    const measured = {
      from,
      ...{ msPerToken: own.msPerToken, denseMsPerToken: dense.msPerToken, overDense: own.speedupOverDense },
      ...{ zeros: own.zeros, selectShare: own.selectShare, spread: own.spread },
    };
    const models = { ...readJson(out)?.models, [entry.name]: measured };
    writeJson(out, { study: given.study, machine, processor: processorFlags(), repeat: Number(given.repeat), models });
    console.log(
      `${entry.name}: ${own.msPerToken.toFixed(2)} ms a token, ${own.speedupOverDense.toFixed(2)} of its dense self`,
    );
  }
}

/** The model in int8 as `bench decode` takes it, in the layout that is best for it. */
function packed(model, place, { runs, threads }) {
  const pack = (folder, ...more) => {
    if (!existsSync(folder)) qsparse(['convert', model, folder, '--dtype', 'int8', '--threads', threads, ...more]);
    return folder;
  };
  const fused = pack(place);
  if (readJson(path.join(model, 'config.json')).activation === 'silu') return [fused];
  const chosen = pack(`${place}-auto`, '--layout', 'auto', '--text', path.join(runs, 'texts', 'calibration.txt'));
  const { tensors } = readSafetensorsHeader(path.join(chosen, 'model.safetensors'));
  const isByChannel = [...tensors.keys()].some((name) => name.endsWith('.channels'));
  return isByChannel ? [chosen, '--dense-twin', fused] : [fused];
}

function sharesOf(sparsity) {
  return sparsity === undefined ? [] : ['--sparsity', sparsity === 0 ? '0' : `0,${sparsity}`];
}

if (process.argv[1] === import.meta.filename) await main();
