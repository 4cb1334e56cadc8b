/**
 * Fills the tables of docs/scaling-law.md and draws its figures, from the printed constants and the committed results alone:
 *
 *   node studies/scaling/document.mjs [--results studies/scaling/results] [--doc docs/scaling-law.md] [--figures docs/figures]
 *
 * What has not been measured says so. The prose between the tables is written by hand and stays as it is.
 */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeDocument } from '../../bench/lib/document.mjs';
import { fillBlocks, table } from '../../bench/lib/markdown.mjs';
import { signed } from '../../bench/lib/number-text.mjs';
import { ROOT, readJson } from '../../bench/lib/processes.mjs';
import { lawFigures } from '../../dist/cli/law/figures.js';
import { readSpeed } from '../../dist/cli/law/read-speed.js';
import { lawForm, lawLoss, PRINTED_CONSTANTS, PRINTED_SIZE_UNIT } from '../../dist/scaling/law-form.js';
import { readLawRuns } from '../../dist/scaling/law-runs.js';
import {
  cheapest,
  largestSize,
  lossOverDense,
  optimalSparsity,
  parametersSaved,
  sizeTerms,
} from '../../dist/scaling/optimal-sparsity.js';

export const RESULTS = path.join(import.meta.dirname, 'results');
/** Times of a token, dense and sparse, measured side by side. */
const SPEED = path.join(ROOT, 'bench/results/inference-speed/decode.json');
/** In which formats a model of each law may be stored; rounding to bf16 or int8 is taken as free, as `law plan` does. */
const WEIGHTS = { float: ['f32', 'bf16', 'int8'], ternary: ['ternary'] };
/** What our runs count N in. */
const OWN_SIZE_UNIT = 1e6;

const form = lawForm('exponential');
function percent(share, decimals = 1) {
  if (!Number.isFinite(share))
    throw new Error(`expected a share, got ${share}: fit again with qsparse law fit --json.`);
  return `${(100 * share).toFixed(decimals)} %`;
}
/** A scale that the fit has driven to nothing is 0 for a reader. */
const four = (value) => (Math.abs(value) < 1e-9 ? '0' : String(Number(value.toPrecision(4))));
const NOT_YET = '**Not yet measured.** The plan is `studies/scaling/plan.mjs`; its runs are not trained yet.';

/** `{ runs, otherRates, laws, recovery }`: null where a file is not there. `laws` is what `qsparse law fit runs.csv --json` said of the runs. */
export function readResults(folder) {
  const runsOf = (...parts) => {
    const file = path.join(folder, ...parts, 'runs.csv');
    return existsSync(file) ? readLawRuns(readFileSync(file, 'utf8'), file) : null;
  };
  return {
    ...{ runs: runsOf(), otherRates: runsOf('sparse-rates') },
    laws: readJson(path.join(folder, 'constants.json'))?.laws ?? null,
    recovery: readJson(path.join(folder, 'recovery.json')),
  };
}

/** The document with its blocks filled, and its figures by file name. */
export function generate(text, { runs, otherRates, laws, recovery }) {
  const analyses = Object.entries(laws ?? {}).map(([format, analysis]) => {
    return { format, own: runs.filter((run) => run.format === format), analysis };
  });
  const blocks = {
    printed: printedTable(),
    recovery: recovery ? recoveryTable(recovery) : '**Not yet measured.** `node studies/scaling/recovery.mjs` does it.',
    constants: analyses.length > 0 ? constantsTable(analyses) : NOT_YET,
    questions: analyses.length > 0 ? questionsTable(analyses) : NOT_YET,
    direct: analyses.length > 0 ? directTable(analyses) : NOT_YET,
    'sparse-rates': runs && otherRates ? ratesTable(runs, otherRates) : NOT_YET,
    forms: analyses.length > 0 ? formsTable(analyses) : NOT_YET,
    seconds: secondsTable([
      { law: 'printed', format: 'float', constants: PRINTED_CONSTANTS, unit: PRINTED_SIZE_UNIT },
      ...analyses.map(({ format, analysis }) => ({
        ...{ law: `ours, ${format}`, format, constants: analysis.constants, unit: OWN_SIZE_UNIT },
      })),
    ]),
  };
  const figures = analyses.map(({ format, own, analysis }) =>
    lawFigures({ name: format, form, constants: analysis.constants, unit: 'M' }, own),
  );
  return { text: fillBlocks(text, blocks), figures: Object.assign({}, printedFigure(), ...figures) };
}

/** The paper's sizes in 1e8, at the sparsities of its figures. */
function printedFigure() {
  const points = [3, 7, 13, 30, 70].flatMap((size) =>
    [0, 0.4, 0.57, 0.66].map((sparsity) => ({ size, sparsity, loss: 1 })),
  );
  const drawn = lawFigures({ name: 'printed', form, constants: PRINTED_CONSTANTS, unit: 'e8' }, points);
  return { 'law-printed-activated.svg': drawn['law-printed-activated.svg'] };
}

function printedTable() {
  const best = optimalSparsity(form, PRINTED_CONSTANTS);
  const rows = [0, 0.2, 0.35, 0.4, 0.4558, best, 0.6, 0.7, 0.8].map((sparsity) => ({
    sparsity:
      sparsity === best ? `**${percent(best, 2)}**, the optimum` : percent(sparsity, sparsity === 0.4558 ? 2 : 0),
    penalty: (sizeTerms(form, PRINTED_CONSTANTS, sparsity) / sizeTerms(form, PRINTED_CONSTANTS, 0)).toFixed(3),
    reducible: lossOverDense(form, PRINTED_CONSTANTS, sparsity).toFixed(4),
    saved: parametersSaved(form, PRINTED_CONSTANTS, sparsity).toFixed(3),
  }));
  return table(rows, [
    { title: 'S', of: ({ sparsity }) => sparsity, left: true },
    { title: 'A(S) / A(0), at equal N', of: ({ penalty }) => penalty },
    { title: 'reducible loss over dense, at equal activated', of: ({ reducible }) => reducible },
    { title: 'times fewer activated for the loss of dense', of: ({ saved }) => saved },
  ]);
}

function recoveryTable({ draws, confidence, truth, results }) {
  const spread = ({ median, low, high }) => `${four(median)} (${four(low)} to ${four(high)})`;
  const rows = Object.keys(truth).map((name) => ({ name, results: results.map(({ recovered }) => recovered[name]) }));
  const values = table(rows, [
    { title: 'constant', of: ({ name }) => name, left: true },
    { title: 'truth', of: ({ name }) => Number(truth[name].toPrecision(4)) },
    ...results.map(({ noise }, i) => ({ title: `noise ${percent(noise)}`, of: (row) => spread(row.results[i]) })),
  ]);
  const coverage = results
    .map(
      ({ noise, coverage: { profile, bootstrap } }) =>
        `${percent(profile)} and ${percent(bootstrap)} at ${percent(noise)}`,
    )
    .join(', ');
  return `${values}

Median and the middle 95 % of ${draws.toLocaleString('en-US')} draws. The intervals of S* that should hold the truth in ${percent(confidence, 0)} do so in (profile likelihood and bootstrap): ${coverage}.`;
}

function constantsTable(analyses) {
  const interval = ({ low, high }, of) => `${of(low)} to ${of(high)}`;
  const names = ['E', 'B', 'C', 'alpha', 'beta'];
  const rows = [
    ...names.map((name) => ({
      name,
      printed: PRINTED_CONSTANTS[name],
      ours: analyses.map(
        ({ analysis }) => `${four(analysis.constants[name])} (${interval(analysis.bootstrap.constants[name], four)})`,
      ),
    })),
    {
      name: 'S*',
      printed: `${percent(optimalSparsity(form, PRINTED_CONSTANTS))} (says 45.58 %)`,
      ours: analyses.map(
        ({ analysis }) => `${percent(analysis.optimum.sparsity)} (${interval(analysis.bootstrap.optimum, percent)})`,
      ),
    },
  ];
  return table(rows, [
    { title: 'constant', of: ({ name }) => name, left: true },
    { title: 'printed, N in 1e8, bits', of: ({ printed }) => printed },
    ...analyses.map(({ format, own }, i) => ({
      title: `${format}, N in millions, nats, ${own.length} runs`,
      of: ({ ours }) => ours[i],
    })),
  ]);
}

function questionsTable(analyses) {
  const rows = analyses.flatMap(({ format, own, analysis }) => {
    const { bootstrap, optimum, b, drift, noise } = analysis;
    const { low, high } = optimum.profile;
    const ends = `${low === null || low <= 0 ? '0 (zeros may not pay)' : percent(low)} to ${high === null ? 'open' : percent(high)}`;
    return [
      [`${format}: S* by profile likelihood`, ends],
      [`${format}: S* above zero, share of the draws`, percent(bootstrap.aboveZero)],
      [`${format}: gap of S = 60 % to dense, by size`, gapsOf(own, 0.6)],
      [
        `${format}: drift of alpha over S`,
        `${drift.value.toFixed(3)} (${drift.interval.low.toFixed(3)} to ${drift.interval.high.toFixed(3)})`,
      ],
      [`${format}: is there a B?`, b.identified ? `yes, ${percent(b.shareOfA)} of A(0)` : 'not identified'],
      [`${format}: noise of seeds`, noise ? percent(noise.logDeviation, 2) : 'not repeated'],
      [`${format}: error of the fit`, percent(analysis.rmsLogError, 2)],
    ];
  });
  return table(rows, [
    { title: 'question', of: ([question]) => question, left: true },
    { title: 'answer', of: ([, answer]) => answer, left: true },
  ]);
}

/** Loss at the sparsity less that of dense, of the runs themselves, smallest size first. */
function gapsOf(runs, sparsity) {
  return sizesOf(runs)
    .map((size) => natsText(meanLoss(runs, size, sparsity) - meanLoss(runs, size, 0)))
    .join(', ');
}

/** What no law has a hand in: each sparse run less the dense runs around its activated parameters, between which log N is linear. */
function directTable(analyses) {
  const rows = analyses.flatMap(({ format, own }) => {
    const sparsities = distinct(own.map(({ sparsity }) => sparsity)).filter((share) => share > 0);
    return sparsities.map((sparsity) => ({ format, sparsity, gains: overDenseRuns(own, sparsity) }));
  });
  const sizes = sizesOf(analyses[0].own);
  return table(rows, [
    { title: 'format', of: ({ format }) => format, left: true },
    { title: 'S', of: ({ sparsity }) => percent(sparsity, 0) },
    ...sizes.slice(1).map((size) => ({
      title: `${four(size)} M`,
      of: ({ gains }) => (gains.has(size) ? natsText(gains.get(size)) : '-'),
    })),
    {
      title: 'mean',
      of: ({ gains }) => natsText([...gains.values()].reduce((sum, gain) => sum + gain, 0) / gains.size),
    },
  ]);
}

/** By size: nats of its run less those of dense at N (1 - S); only where dense runs lie on both sides. */
function overDenseRuns(runs, sparsity) {
  const sizes = sizesOf(runs);
  const gains = new Map();
  for (const size of sizes) {
    const activated = size * (1 - sparsity);
    const above = sizes.findIndex((one) => one >= activated);
    if (above < 1) continue;
    const [low, high] = [sizes[above - 1], sizes[above]];
    const share = Math.log(activated / low) / Math.log(high / low);
    const dense = (1 - share) * meanLoss(runs, low, 0) + share * meanLoss(runs, high, 0);
    gains.set(size, meanLoss(runs, size, sparsity) - dense);
  }
  return gains;
}

/** The runs of sparse-rates.mjs, one format a rate, beside those of the grid at the same sparsity. */
function ratesTable(runs, otherRates) {
  const [{ sparsity }] = otherRates;
  const column = (title, own, format) => ({
    title,
    of: (size) =>
      meanLoss(
        own.filter((run) => run.format === format),
        size,
        sparsity,
      ).toFixed(3),
  });
  return table(sizesOf(otherRates), [
    { title: 'N', of: (size) => `${four(size)} M` },
    column('half of it', otherRates, 'half'),
    column('the rate of dense', runs, 'float'),
    column('twice', otherRates, 'double'),
  ]);
}

const distinct = (values) => [...new Set(values)].sort((a, b) => a - b);
const sizesOf = (runs) => distinct(runs.map(({ size }) => size));
const natsText = (nats) => signed(nats, 3);

/** Over the seeds of a cell. */
function meanLoss(runs, size, sparsity) {
  const losses = runs.filter((run) => run.size === size && run.sparsity === sparsity).map(({ loss }) => loss);
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

function formsTable(analyses) {
  const rows = analyses.flatMap(({ format, analysis }) => analysis.forms.map((one) => ({ format, ...one })));
  return table(rows, [
    { title: 'format', of: ({ format }) => format, left: true },
    { title: 'law', of: ({ formula }) => `\`${formula}\``, left: true },
    { title: 'error of the fit', of: ({ rmsLogError }) => percent(rmsLogError, 2) },
    {
      title: 'of sizes left out',
      of: ({ crossValidation }) => crossValidation && percent(crossValidation.rmsLogError, 2),
    },
    {
      title: 'of the largest',
      of: ({ crossValidation }) => crossValidation && percent(crossValidation.largestRmsLogError, 2),
    },
    { title: 'S*', of: ({ optimum }) => percent(optimum) },
  ]);
}

/** The optimum when a token's milliseconds are the budget instead of its activated parameters. */
function secondsTable(laws) {
  const { curves, machine } = readSpeed(SPEED);
  const rows = laws.flatMap((law) =>
    WEIGHTS[law.format].filter((type) => curves.has(type)).map((type) => secondsRow(law, type, curves.get(type))),
  );
  const body = table(rows, [
    { title: 'law', of: ({ law }) => law, left: true },
    { title: 'weights', of: ({ type }) => type, left: true },
    { title: 'S* by activated parameters', of: ({ byCount }) => percent(byCount) },
    {
      title: 'S* by seconds',
      of: ({ bySeconds, isLast }) => `${percent(bySeconds)}${isLast ? ', the last measured' : ''}`,
    },
    { title: 'reducible loss over dense, at equal activated', of: ({ countRatio }) => countRatio.toFixed(4) },
    { title: 'at equal seconds', of: ({ secondsRatio }) => secondsRatio.toFixed(4) },
  ]);
  return `${body}

Times of a token from \`${path.relative(ROOT, SPEED)}\`: ${machine}.`;
}

function secondsRow({ law, format, constants, unit }, type, curve) {
  const [size] = curve.sizes;
  const cost = (inUnits, sparsity) => curve.msPerToken(inUnits * unit, sparsity);
  const budget = curve.msPerToken(size, 0);
  const { largestSparsity } = curve;
  const best = cheapest(form, constants, cost, budget, { largestSparsity });
  const dense = largestSize((candidate) => cost(candidate, 0), budget);
  const denseLoss = lawLoss(form, constants, { size: dense, sparsity: 0 });
  const byCount = optimalSparsity(form, constants);
  return {
    ...{ law, format, type, byCount, bySeconds: best.sparsity, isLast: best.sparsity === largestSparsity },
    countRatio: lossOverDense(form, constants, byCount),
    secondsRatio: (best.loss - constants.E) / (denseLoss - constants.E),
  };
}

if (process.argv[1] === import.meta.filename) writeDocument('scaling-law.md', generate, readResults, RESULTS);
