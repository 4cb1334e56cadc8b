/** The tables of docs/conversion.md, one block each, from the committed results alone; what is missing is called so. */

import { table } from '../../bench/lib/markdown.mjs';
import { percent, signed, times } from '../../bench/lib/number-text.mjs';
import { interpolate } from '../../bench/lib/statistics.mjs';
import { CONTINUED, FINE_TUNED } from './paper.mjs';
import { isOfLength, isTrainingFree, STUDIES } from './plan.mjs';

const MISSING = 'not measured yet';
const TASK_TITLES = {
  arc_easy: 'ARC-E',
  hellaswag: 'HellaSwag',
  winogrande: 'WinoGrande',
  truthfulqa_mc2: 'TruthfulQA',
  mmlu: 'MMLU',
};
const TASKS = STUDIES.smollm2.tasks;
/** Where the curve of a trained model begins. */
export const REPAIRED = [
  ['qsparse', 'start-qsparse'],
  ['qsparse-50', 'start-qsparse-50'],
  ['qsparse-tenth', 'start-qsparse'],
  ['qsparse-distilled', 'start-qsparse'],
  ['qsparse-distilled-tenth', 'start-qsparse'],
];
const CURVE_SHARES = [0.1, 0.25, 0.5, 1];

/** Between its beginning and one validation at the end nothing is known of a curve. */
export const hasCourse = (curve) => curve.length > 2;

/** `figures`: by file name those that are drawn. */
export function blocksOf(results, figures = {}) {
  const figure = (file, text) =>
    figures[file] ? `![${text}](figures/${file})` : `The figure is drawn when there is something to draw.`;
  const smollm2 = results.of('smollm2');
  return {
    protocol: protocolBlock(results),
    'training-free': qualityTable(smollm2, namesOf('smollm2', isTrainingFree), ['wikitext2', 'novels']),
    'training-free-tasks': taskTable(smollm2, namesOf('smollm2', isTrainingFree)),
    trained: qualityTable(
      smollm2,
      ['dense', 'topk-as-qsparse', 'topk-as-qsparse-50', ...namesOf('smollm2', isOfLength)],
      ['wikitext2', 'novels'],
    ),
    'trained-tasks': taskTable(smollm2, ['dense', ...namesOf('smollm2', isOfLength)]),
    'quality-figure': figure(
      'conversion-smollm2-quality.svg',
      'Loss of each model against activated parameters and time a token',
    ),
    repaired: repairedTable(smollm2, 'dense-trained'),
    'repaired-figure': figure('conversion-smollm2-repaired.svg', 'Share of the damage that is repaired, by tokens'),
    'paper-continued': continuedTable(smollm2),
    'fine-tuned': fineTunedTable(smollm2),
    'paper-fine-tuned': paperFineTunedTable(smollm2),
    ...blocksOfStories('stories15M', results, figure),
    ...blocksOfStories('stories260K', results, figure),
    speed: speedTable(smollm2, 'smollm2', 'wikitext2'),
    'stories-speed': speedTable(results.of('stories15M'), 'stories15M', 'stories'),
  };
}

/** Of a model that trains on samples of its own. */
function blocksOfStories(study, results, figure) {
  const own = results.of(study);
  return {
    [study]: qualityTable(own, namesOf(study, isModel), ['stories']),
    [`${study}-repaired`]: repairedTable(own, null),
    [`${study}-figure`]: figure(
      `conversion-${study}-repaired.svg`,
      `Share of the damage that is repaired, by tokens, ${study}`,
    ),
  };
}

function namesOf(study, isMeant) {
  return STUDIES[study].entries.filter(isMeant).map(({ name }) => name);
}

const isFineTuned = ({ kind }) => kind === 'sft';
const isModel = ({ kind }) => kind !== 'start';

/** One line a model of which `part` is on file; the others are named behind the table. */
function modelTable(results, part, names, columns) {
  const isThere = (name) => results.models[name]?.[part] !== undefined;
  const shown = columns.map((column) => ({ ...column, of: (name) => column.of(name) ?? '-' }));
  const lines = table(names.filter(isThere), [{ title: 'model', left: true, of: (name) => `\`${name}\`` }, ...shown]);
  const missing = names.filter((name) => !isThere(name)).map((name) => `\`${name}\``);
  return [
    ...(missing.length < names.length ? [lines] : []),
    ...(missing.length > 0 ? [`Not measured yet: ${missing.join(', ')}.`] : []),
  ].join('\n\n');
}

function qualityTable(results, names, texts) {
  return modelTable(results, 'perplexity', names, [
    { title: 'zeros', of: (name) => percentOrNothing(results.activated(name)?.modelSparsity) },
    { title: 'activated', of: (name) => millions(results.activated(name)?.activatedParameters) },
    ...texts.flatMap((text) => [
      { title: `perplexity, ${text}`, of: (name) => withError(results.perplexity(name, text), 2) },
      {
        title: 'nats over dense',
        of: (name) => (name === 'dense' ? null : natsText(results.natsOver(name, 'dense', text))),
      },
    ]),
  ]);
}

function taskTable(results, names) {
  return modelTable(results, 'tasks', names, [
    { title: 'mean', of: (name) => scoreText(results.meanScore(name, TASKS)) },
    { title: 'over dense', of: (name) => (name === 'dense' ? null : pointsOver(results, name, 'dense')) },
    ...TASKS.map((task) => ({ title: TASK_TITLES[task], of: (name) => scoreText(results.score(name, task)) })),
  ]);
}

/** The share of the damage repaired at parts of the training; `beside`: a dense model that was trained on as much, null where there is none. */
function repairedTable(results, beside) {
  const at = ([name, begin], share) => {
    const curve = results.repaired(name, begin);
    if (curve === null) return null;
    return hasCourse(curve) || share === 1 ? interpolate(curve, share * curve.at(-1)[0]) : null;
  };
  const tokens = ([name, begin]) => results.repaired(name, begin)?.at(-1)[0];
  const rows = REPAIRED.filter((row) => tokens(row));
  if (rows.length === 0) return 'Not measured yet.';
  return table(rows, [
    { title: 'model', left: true, of: ([name]) => `\`${name}\`` },
    { title: 'tokens', of: (row) => millions(tokens(row)) },
    ...CURVE_SHARES.map((share) => ({
      title: share === 1 ? 'at the end' : `at ${percent(share)}`,
      of: (row) => percentOrNothing(at(row, share)) ?? '-',
    })),
    ...(beside === null ? [] : [besideColumn(results, beside)]),
  ]);
}

function besideColumn(results, reference) {
  return {
    title: `beside \`${reference}\``,
    of: (row) => percentOrNothing(results.repairedBeside(...row, reference)) ?? '-',
  };
}

/** Tables 1 and 2 of the paper, and ours: the mean of the tasks as its difference to the dense model of the same column, which has had the same training. */
function continuedTable(results) {
  const [dense] = CONTINUED;
  const ours = ({ ours: name }) => pointsOver(results, name, dense.ours);
  return table(CONTINUED, [
    { title: 'method', left: true, of: ({ method }) => method },
    { title: 'paper: activated', of: ({ activated }) => activated },
    { title: 'zeros', of: ({ zeros }) => `${zeros} %` },
    { title: 'mean of five', of: ({ mean }) => mean.toFixed(1) },
    { title: 'over dense', of: (row) => (row === dense ? '' : signed(row.mean - dense.mean, 1)) },
    { title: 'ours', left: true, of: ({ ours: name }) => `\`${name}\`` },
    { title: 'zeros', of: ({ ours: name }) => percentOrNothing(results.activated(name)?.modelSparsity) ?? MISSING },
    { title: 'over dense', of: (row) => (row === dense ? '' : (ours(row) ?? MISSING)) },
    {
      title: 'nats over dense, wikitext2',
      of: ({ ours: name }) =>
        name === dense.ours ? '' : (natsText(results.natsOver(name, dense.ours, 'wikitext2')) ?? MISSING),
    },
  ]);
}

function fineTunedTable(results) {
  const answers = (name) => results.training(name)?.validation.at(-1)?.loss;
  const names = namesOf('smollm2', isFineTuned);
  const quality = (name, text) => withError(results.perplexity(name, text), 2);
  return modelTable(
    results,
    'perplexity',
    ['dense', ...names],
    [
      { title: 'zeros', of: (name) => percentOrNothing(results.activated(name)?.modelSparsity) },
      { title: 'loss of held-out answers', of: (name) => answers(name)?.toFixed(3) },
      { title: 'mean of tasks', of: (name) => scoreText(results.meanScore(name, TASKS)) },
      ...TASKS.map((task) => ({ title: TASK_TITLES[task], of: (name) => scoreText(results.score(name, task)) })),
      { title: 'perplexity, wikitext2', of: (name) => quality(name, 'wikitext2') },
    ],
  );
}

function paperFineTunedTable(results) {
  const denseOf = ({ base }) => FINE_TUNED.find((row) => row.base === base && row.method === 'dense');
  return table(FINE_TUNED, [
    { title: 'method', left: true, of: ({ method }) => method },
    { title: 'paper: of', left: true, of: ({ base }) => base },
    { title: 'activated, B', of: ({ activated }) => activated },
    { title: 'mean of five', of: ({ mean }) => mean.toFixed(1) },
    { title: 'over dense', of: (row) => (row.method === 'dense' ? '' : signed(row.mean - denseOf(row).mean, 1)) },
    { title: 'ours', left: true, of: ({ ours }) => (ours ? `\`${ours}\`` : '') },
    {
      title: 'over dense',
      of: ({ method, ours }) =>
        method === 'dense' || !ours ? '' : (pointsOver(results, ours, 'sft-dense') ?? MISSING),
    },
  ]);
}

function speedTable(results, study, text) {
  const names = namesOf(study, isModel);
  const speed = (name) => results.speed(name);
  const rows = names.filter((name) => speed(name) !== null);
  if (rows.length === 0)
    return `No decoding is measured yet: \`node studies/conversion/speed.mjs --study ${study} --runs FOLDER\`.`;
  return table(rows, [
    { title: 'model', left: true, of: (name) => `\`${name}\`` },
    { title: 'zeros', of: (name) => percentOrNothing(speed(name).zeros) },
    { title: 'ms a token', of: (name) => speed(name).msPerToken.toFixed(2) },
    { title: 'its dense self', of: (name) => speed(name).denseMsPerToken.toFixed(2) },
    { title: 'times as fast', of: (name) => times(speed(name).overDense) },
    { title: `perplexity, ${text}`, of: (name) => withError(results.perplexity(name, text), 2) ?? '-' },
  ]);
}

function protocolBlock(results) {
  const lines = Object.keys(STUDIES).map((study) => protocolLine(study, results.studies[study]));
  return lines.join('\n');
}

function protocolLine(study, onFile) {
  const { title } = STUDIES[study];
  const models = Object.values(onFile?.models ?? {});
  if (models.length === 0) return `- ${title}: ${MISSING}`;
  const found = (part) => models.find((model) => model[part])?.[part];
  const { perplexity, tasks } = { perplexity: found('perplexity'), tasks: found('tasks') };
  const backends = [...new Set(models.flatMap(({ training }) => training?.backend ?? []))].sort();
  const parts = [
    perplexity && perplexityText(perplexity.protocol),
    tasks && `tasks: ${tasks.scores.map(({ task, items }) => `${items} items of ${TASK_TITLES[task]}`).join(', ')}`,
    backends.length > 0 && `trained with ${backends.join(' and ')}`,
  ];
  const machine = onFile.machine && `on ${onFile.machine.cpu}, ${onFile.machine.cores} cores`;
  return `- ${title} (\`${onFile.model}\`): ${[...parts, machine].filter(Boolean).join('; ')}`;
}

function perplexityText({ maxTokens, window, prefix }) {
  const behind = prefix ? ', story by story, each behind the token that begins a text' : '';
  return `perplexities of the first ${maxTokens} tokens of each text in windows of ${window}${behind}`;
}

/** The mean of the tasks in percentage points over that of another model, with the error of the difference. */
function pointsOver(results, name, reference) {
  const found = results.scoreOver(name, reference, TASKS);
  return found && `${signed(100 * found.value, 1)} ± ${(100 * found.error).toFixed(1)}`;
}

const percentOrNothing = (share) => (Number.isFinite(share) ? percent(share, 1) : undefined);
const millions = (count) => (count === undefined ? undefined : `${(count / 1e6).toFixed(count < 1e6 ? 2 : 1)} M`);
const withError = (found, digits) => found && `${found.value.toFixed(digits)} ± ${found.error.toFixed(digits)}`;
const scoreText = (found) => found && `${(100 * found.value).toFixed(1)} ± ${(100 * found.error).toFixed(1)}`;
const natsText = (found) => found && `${signed(found.value, 3)} ± ${found.error.toFixed(3)}`;
