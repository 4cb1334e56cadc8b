/**
 * What the study keeps of a finished run: its curve, its zeros and gradients by layer, and how many parameters a token activates on a
 * book that no run has seen.
 */

import { processorFlags, qsparse } from '../../bench/lib/processes.mjs';
import { curveOf, qualityOf, readRecords } from '../../bench/lib/run-curves.mjs';
import { median } from '../../bench/lib/statistics.mjs';

const CURVE_POINTS = 40;
const INSPECTED_TOKENS = 8192;

export async function collect(directory, book) {
  const records = await readRecords(directory);
  const run = records.findLast(({ type }) => type === 'run');
  const steps = records.filter(({ type }) => type === 'step');
  const details = records.filter(({ type }) => type === 'detail');
  const { points, validation } = curveOf(records);
  return {
    model: run.model,
    train: run.train,
    backend: run.backend,
    processor: processorFlags(),
    version: run.version,
    quality: qualityOf(records),
    bitsPerByte: records.findLast(({ type }) => type === 'validation').bitsPerByte,
    // Beside another run of the study: what compares speeds is speed.mjs.
    tokensPerSecondWhileTraining: Math.round(median(steps.map(({ tokensPerSecond }) => tokensPerSecond))),
    curve: { points: thinned(points), validation },
    overTime: details.map(({ step, sparsity, deadChannels }) => ({
      step,
      zeros: mapValues(sparsity, (layers) => rounded(mean(layers))),
      deadChannels: rounded(mean(deadChannels)),
    })),
    last: layersOf(details.at(-1)),
    router: steps.at(-1).router,
    activated: activatedOf(directory, book),
  };
}

/** On INSPECTED_TOKENS of a book: what a token multiplies with, natural zeros and experts that were not chosen left out. */
function activatedOf(directory, book) {
  const report = qsparse(['inspect', directory, '--text', book, '--max-tokens', String(INSPECTED_TOKENS)]);
  const { parameters, routedParameters, activatedParameters, modelSparsity, projections } = report;
  return {
    parameters,
    routedParameters,
    activatedParameters,
    modelSparsity: rounded(modelSparsity),
    projections: projections.map(({ projection, parameters: all, activated, sparsity }) => ({
      ...{ projection, parameters: all, activated: Math.round(activated), zeros: rounded(sparsity) },
    })),
  };
}

function layersOf({ step, sparsity, energyKept, gradNorm, deadChannels, expertLoad }) {
  const byName = (table) => mapValues(table, (layers) => layers.map(rounded));
  return {
    ...{ step, zeros: byName(sparsity), energyKept: byName(energyKept), gradNorm: byName(gradNorm) },
    deadChannels: deadChannels.map(rounded),
    ...(expertLoad && { expertLoad: expertLoad.map((layer) => layer.map(rounded)) }),
  };
}

function thinned(points) {
  const every = Math.ceil(points.length / CURVE_POINTS);
  return points.filter((_, i) => (points.length - 1 - i) % every === 0);
}

function mapValues(table, of) {
  return Object.fromEntries(Object.entries(table).map(([name, value]) => [name, of(value)]));
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function rounded(value) {
  return value === null || value === undefined ? null : Number(value.toPrecision(4));
}
