/** The head of the report: a table of what each run is and reached, and where its time went. */

import { type ModelConfig, POINTS, type Point } from '../model/config.ts';
import { formatCount, formatDuration, formatInteger, formatNumber, formatPercent } from '../util/format.ts';
import { escapeHtml } from './escape.ts';
import type { RunSummary } from './summary.ts';

const PARTS = ['data', 'select', 'forward', 'backward', 'optimizer', 'teacher'] as const;

interface Line {
  label: string;
  value: (summary: RunSummary) => string;
}

const RESULT_LINES: readonly Line[] = [
  { label: 'Best validation loss', value: (s) => fixed(s.bestValidationLoss, 3) },
  { label: 'reached at step', value: (s) => formatInteger(s.bestStep ?? Number.NaN) },
  { label: 'Bits per byte', value: (s) => fixed(s.bitsPerByte, 3) },
  { label: 'Training loss at the end', value: (s) => fixed(s.trainingLoss, 3) },
  { label: 'Zeros in the inputs', value: (s) => formatPercent(s.modelSparsity) },
  { label: 'Speed, tokens/s', value: (s) => formatNumber(s.tokensPerSecond) },
  { label: 'Arithmetic done, GFLOP/s', value: (s) => formatNumber(s.gflops) },
  { label: 'Dense equivalent, GFLOP/s', value: (s) => formatNumber(s.gflopsDenseEquivalent) },
  { label: 'Steps', value: (s) => formatInteger(s.steps) },
  { label: 'Tokens', value: (s) => formatCount(s.tokens) },
  { label: 'Time of training', value: (s) => formatDuration(s.seconds) },
];

const RUN_LINES: readonly Line[] = [
  { label: 'Parameters', value: (s) => (s.run ? formatCount(s.run.parameters) : '-') },
  { label: 'Model', value: (s) => (s.run?.model ? modelText(s.run.model) : '-') },
  { label: 'Set to zero', value: (s) => (s.run?.model ? sparsityText(s.run.model) : '-') },
  { label: 'Backend', value: (s) => s.run?.backend ?? '-' },
  { label: 'Machine', value: (s) => s.run?.machine ?? '-' },
  { label: 'Started', value: (s) => dateText(s.run?.startedAt) },
  { label: 'Version', value: (s) => s.run?.version ?? '-' },
];

/** What the runs reached and what they are: a column for each run, coloured as its curves are. */
export function overviewSection(summaries: readonly RunSummary[]): string {
  return `<div class="overview">
${summaryTable('What came out', 'number', RESULT_LINES, summaries)}
${summaryTable('What ran', 'wrap', RUN_LINES, summaries)}
</div>`;
}

function summaryTable(
  title: string,
  className: string,
  lines: readonly Line[],
  summaries: readonly RunSummary[],
): string {
  const heads = summaries.map(({ name }, r) => `<th scope="col" class="${className}">${runTitle(name, r)}</th>`);
  return `<section class="card scroll" tabindex="0"><table class="plain">
<thead><tr><th scope="col">${title}</th>${heads.join('')}</tr></thead>
<tbody>${lines.map((line) => tableRow(line, className, summaries)).join('\n')}</tbody></table></section>`;
}

/** The name of a run with the swatch of its curves. */
export function runTitle(name: string, r: number): string {
  return `<span class="swatch" style="background:var(--c${r % 8})"></span>${escapeHtml(name)}`;
}

/** Text that is the same for all runs is said once. */
function tableRow({ label, value }: Line, className: string, summaries: readonly RunSummary[]): string {
  const values = summaries.map(value);
  const isShared = className === 'wrap' && values.every((text) => text === values[0]);
  const cells = isShared
    ? [`<td colspan="${values.length}" class="wrap">${escapeHtml(values[0])}</td>`]
    : values.map((text) => `<td class="${className}">${escapeHtml(text)}</td>`);
  return `<tr><th scope="row">${escapeHtml(label)}</th>${cells.join('')}</tr>`;
}

/** Mean milliseconds of a step by part: bars whose lengths compare the runs, and the numbers. */
export function partsSection(summaries: readonly RunSummary[]): string {
  const totals = summaries.map(({ partsMs }) => PARTS.reduce((sum, part) => sum + (partsMs[part] || 0), 0));
  const longest = Math.max(...totals);
  if (!(longest > 0)) return '';
  const bars = summaries.map(({ name, partsMs }, r) => {
    const spans = PARTS.map((part, p) => {
      const width = ((partsMs[part] || 0) / longest) * 100;
      return `<span style="width:${width.toFixed(2)}%;background:var(--c${p})" title="${part}"></span>`;
    });
    return `<span>${escapeHtml(name)} <span class="dim">${formatDuration(totals[r] / 1000)}</span></span>
<div class="bar" aria-hidden="true">${spans.join('')}</div>`;
  });
  const heads = summaries.map(({ name }) => `<th scope="col" class="number">${escapeHtml(name)}</th>`);
  const rows = PARTS.flatMap((part, p) => {
    if (part === 'teacher' && summaries.every(({ partsMs }) => partsMs.teacher === undefined)) return [];
    const cells = summaries.map(({ partsMs }, r) => {
      const ms = partsMs[part] ?? 0;
      const share = formatPercent(ms / totals[r], 0);
      return `<td class="number">${formatDuration(ms / 1000)} <span class="dim">${share}</span></td>`;
    });
    const swatch = `<span class="swatch" style="background:var(--c${p})"></span>`;
    return `<tr><th scope="row">${swatch}${part}</th>${cells.join('')}</tr>`;
  });
  return `<h2>Where the time of a step goes</h2>
<div class="card"><div class="bars">${bars.join('\n')}</div>
<div class="scroll" tabindex="0"><table class="plain"><thead><tr><td></td>${heads.join('')}</tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div></div>`;
}

function fixed(value: number, decimals: number): string {
  return Number.isFinite(value) ? value.toFixed(decimals) : '-';
}

/** `dim 256, 8 layers, 8 heads (4 for keys), hidden 704, context 256, vocabulary 4,096, relu2`. */
function modelText(model: ModelConfig): string {
  const keys = model.nKvHeads === model.nHeads ? '' : ` (${model.nKvHeads} for keys and values)`;
  const experts = model.nExperts > 0 ? [`${model.nExpertsPerToken} of ${model.nExperts} experts`] : [];
  return [
    `dim ${model.dim}`,
    `${model.nLayers} layers`,
    `${model.nHeads} heads${keys}`,
    ...experts,
    `hidden ${model.hiddenDim}`,
    `context ${model.seqLen}`,
    `vocabulary ${model.vocabSize}`,
    model.activation,
  ].join(', ');
}

function sparsityText(model: ModelConfig): string {
  // Files of older versions have no sparsifier: top-K.
  const chosen: Partial<Record<ModelConfig['sparsifier'], string[]>> = {
    block: [`in blocks of ${model.blockSize}`],
    relu: ['ReLU before every projection'],
    'norm-relu': ['ReLU behind the norms'],
    drelu: ['dReLU before down'],
    threshold: ['fixed thresholds'],
    none: ['nothing selected'],
  };
  const shares = Object.entries(model.sparsity ?? {}).map(([point, value]) => {
    return `${point} ${typeof value === 'number' ? formatPercent(value, 0).replace(' ', '\u00a0') : 'by layer'}`;
  });
  const takesShares = ['topk', 'block'].includes(model.sparsifier ?? 'topk');
  const points = [...(chosen[model.sparsifier] ?? []), ...(takesShares ? shares : [])];
  const gradient = model.gradient === 'masked' ? ['masked gradient'] : [];
  // Files of older versions have one re-scale for all points.
  const isRescaled = (point: Point) => [model.rescale as unknown, model.rescale?.[point]].includes('l2');
  const rescaledPoints = POINTS.filter(isRescaled);
  const everywhere = rescaledPoints.length === POINTS.length;
  const rescale =
    rescaledPoints.length === 0 ? [] : [`re-scaled${everywhere ? '' : ` at ${rescaledPoints.join(', ')}`}`];
  const l1 = model.hiddenL1 > 0 ? [`L1 ${model.hiddenL1}`] : [];
  return [...points, ...gradient, ...rescale, ...l1].join(', ');
}

function dateText(iso: string | undefined): string {
  return iso ? iso.replace('T', ' ').replace(/(:\d\d)(\.\d+)?Z$/, '$1 UTC') : '-';
}
