/** The parts of the dashboard in words and bars: the overview of the runs, where a step's time goes, samples of text. */

import type { ChartRun } from '../../src/report/charts.ts';
import { evenSample } from '../../src/report/curves.ts';
import type { RunSummary } from '../../src/report/summary.ts';
import { h } from '../shared/dom.ts';
import { count, duration, percent, threeDigits } from '../shared/numbers.ts';
import type { StoredRun } from './run-store.ts';

const COLORS = 8;
/** Older samples are folded; a run of days has more than anyone reads. */
const MOST_SAMPLES = 24;
const COLUMNS = ['steps', 'training loss', 'best validation', 'tokens', 'tokens/s', 'zeros', 'parameters'];

export interface OverviewRow {
  readonly stored: StoredRun;
  /** null until its metrics are read. */
  readonly summary: RunSummary | null;
  readonly isShown: boolean;
}

export function overview(
  rows: readonly OverviewRow[],
  onShow: (stored: StoredRun, isShown: boolean) => void,
): HTMLElement {
  const head = h(
    'thead',
    {},
    h('tr', {}, h('th', { scope: 'col' }, 'run'), ...COLUMNS.map((name) => h('th', { scope: 'col' }, name))),
  );
  const body = h('tbody');
  for (const { stored, summary, isShown } of rows) {
    const box = h('input', { type: 'checkbox', checked: isShown, 'data-kept': stored.key });
    box.addEventListener('change', () => onShow(stored, box.checked));
    const name = h('label', {}, box, swatch(stored.color), stored.name);
    const badge = stored.isLive ? h('span', { class: 'badge' }, 'running') : null;
    const cells = summary === null ? COLUMNS.map(() => '–') : cellsOf(summary, stored.maxSteps);
    body.append(h('tr', {}, h('th', { scope: 'row' }, name, badge), ...cells.map((text) => h('td', {}, text))));
  }
  return h(
    'table',
    { class: 'overview' },
    h('caption', { class: 'visually-hidden' }, 'Runs; those that are ticked are shown'),
    head,
    body,
  );
}

function cellsOf(summary: RunSummary, maxSteps: number | null): string[] {
  const { steps, trainingLoss, bestValidationLoss, tokens, tokensPerSecond, modelSparsity, run } = summary;
  const loss = (value: number) => (Number.isFinite(value) ? value.toFixed(4) : '–');
  return [
    steps.toLocaleString('en-US') + (maxSteps === null ? '' : ` of ${maxSteps.toLocaleString('en-US')}`),
    loss(trainingLoss),
    loss(bestValidationLoss),
    count(tokens),
    Number.isFinite(tokensPerSecond) ? count(tokensPerSecond) : '–',
    Number.isFinite(modelSparsity) ? percent(modelSparsity, 1) : '–',
    run === null ? '–' : count(run.parameters),
  ];
}

const PARTS = [
  ['data', 'data', '--c4'],
  ['select', 'selection', '--c1'],
  ['forward', 'forward', '--c0'],
  ['backward', 'backward', '--c3'],
  ['optimizer', 'optimizer', '--c2'],
  ['teacher', 'teacher', '--c5'],
] as const;

/** A bar for each run, as long as its step. */
export function parts(summaries: readonly RunSummary[]): HTMLElement {
  const shown = PARTS.filter(([part]) => part !== 'teacher' || summaries.some(({ partsMs }) => partsMs.teacher));
  const wholes = summaries.map(({ partsMs }) => PARTS.reduce((sum, [part]) => sum + (partsMs[part] || 0), 0));
  const longest = Math.max(...wholes, Number.MIN_VALUE);
  const bars = h('div', { class: 'part-bars' });
  summaries.forEach(({ name, partsMs }, i) => {
    const bar = h('div', { class: 'bar', role: 'img' });
    const words = shown.map(([part, text]) => `${text} ${duration(partsMs[part] || 0)}`);
    bar.setAttribute('aria-label', `${name}: ${words.join(', ')}`);
    for (const [part, text, color] of shown) {
      const piece = h('i', { title: `${text}: ${duration(partsMs[part] || 0)}` });
      piece.style.cssText = `width: ${(100 * (partsMs[part] || 0)) / longest}%; background: var(${color})`;
      bar.append(piece);
    }
    bars.append(h('span', {}, name), bar, h('span', { class: 'number' }, `${threeDigits(wholes[i])} ms`));
  });
  const legend = h('ul', { class: 'legend' });
  for (const [, text, color] of shown) {
    const mark = h('i', { class: 'swatch', 'aria-hidden': 'true' });
    mark.style.background = `var(${color})`;
    legend.append(h('li', {}, mark, text));
  }
  return h('div', {}, bars, legend);
}

/** The newest samples of each run, the older ones folded under them. */
export function samples(runs: readonly ChartRun[]): HTMLElement[] {
  return runs.flatMap(({ name, records }) => {
    const some = evenSample(records.samples, MOST_SAMPLES);
    const newestStep = some.at(-1)?.step;
    if (newestStep === undefined) return [];
    const newest = some.filter(({ step }) => step === newestStep);
    const older = some.filter(({ step }) => step !== newestStep).reverse();
    const quote = ({ prompt, text }: { prompt: string; text: string }) =>
      h('blockquote', {}, h('strong', {}, prompt), text);
    const folded = older.map((sample) =>
      h(
        'details',
        { 'data-kept': `${name} ${sample.step} ${sample.prompt}` },
        h(
          'summary',
          { 'data-kept': `summary of ${name} ${sample.step} ${sample.prompt}` },
          `step ${sample.step.toLocaleString('en-US')}`,
        ),
        quote(sample),
      ),
    );
    const title = h('h3', {}, name, ' ', h('span', { class: 'dim' }, `step ${newestStep.toLocaleString('en-US')}`));
    return [h('article', { class: 'card stack' }, title, ...newest.map(quote), ...folded)];
  });
}

function swatch(color: number): HTMLElement {
  const mark = h('i', { class: 'swatch', 'aria-hidden': 'true' });
  mark.style.background = `var(--c${color % COLORS})`;
  return mark;
}
