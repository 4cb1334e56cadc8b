/**
 * Which curves the report shows: the records turned into charts that the page's script only has to draw.
 *
 * Every series knows its run and which of the run's axes (steps, validations, details) its values lie on, so that the
 * page can put all of them over tokens, seconds or steps. With one run a colour tells series apart; with several runs a
 * colour is a run and a dash pattern the series.
 */

import { POINTS } from '../model/config.ts';
import type { DetailRecord, StepRecord } from '../train/metrics.ts';
import { evenSample, mean, rounded, smooth, thin } from './curves.ts';
import type { SortedRecords } from './summary.ts';

/** Detail records in the page: enough for curves and the slider. */
export const MAX_DETAILS = 120;

export type Numbers = (number | null)[];
export type AxisName = 'steps' | 'validations' | 'details';

export interface Axis {
  step: Numbers;
  tokens: Numbers;
  seconds: Numbers;
}

export interface Series {
  label: string;
  run: number;
  axis: AxisName;
  values: Numbers;
  color: number;
  look: 'line' | 'faint' | 'points';
  /** 0 is a solid line; others are patterns of the page. */
  dash: number;
}

export interface Chart {
  title: string;
  /** What the y axis counts. */
  unit: string;
  /** For those who cannot see it, and for those who do not know what it is. */
  description: string;
  large: boolean;
  logarithmic: boolean;
  percent: boolean;
  series: Series[];
}

export interface ChartRun {
  name: string;
  records: SortedRecords;
}

/** The x values of each run. */
export function buildAxes(runs: readonly ChartRun[]): Record<AxisName, Axis>[] {
  return runs.map(({ records }) => {
    const steps = thinSteps(records.steps);
    const details = thinDetails(records.details);
    const times = details.map(({ step }) => lastAtOrBefore(records.steps, step));
    return {
      steps: axisOf(steps),
      validations: axisOf(records.validations),
      details: {
        step: details.map(({ step }) => step),
        tokens: times.map((time) => time?.tokens ?? null),
        seconds: times.map((time) => time?.seconds ?? null),
      },
    };
  });
}

/** The charts of the runs, those without any value left out. */
export function buildCharts(runs: readonly ChartRun[]): Chart[] {
  const charts = [
    lossChart(runs),
    chart('Bits per byte', 'bits', 'Validation loss in bits per byte of the original text.', {
      series: runs.flatMap((run, r) => validationSeries(runs, run, r, (record) => record.bitsPerByte)),
    }),
    chart('Speed', 'tokens/s', 'Training tokens per second, smoothed.', {
      series: overSteps(runs, [{ label: '', value: (s) => s.tokensPerSecond, smoothed: true }]),
    }),
    chart('Arithmetic', 'GFLOP/s', 'Operations really done, and what a dense step would count in the same time.', {
      series: overSteps(runs, [
        { label: 'done', value: (s) => s.gflops, smoothed: true },
        { label: 'dense equivalent', value: (s) => s.gflopsDenseEquivalent, smoothed: true },
      ]),
    }),
    chart('Gradient norm', 'L2 norm', 'Global L2 norm of the gradient before clipping.', {
      logarithmic: true,
      series: overSteps(runs, [
        { label: 'each step', value: (s) => s.gradNorm, look: 'faint', sameColor: true },
        { label: 'smoothed', value: (s) => s.gradNorm, smoothed: true, sameColor: true },
      ]),
    }),
    chart('Learning rate', 'rate', 'Learning rate of each step.', {
      series: overSteps(runs, [{ label: '', value: (s) => s.lr }]),
    }),
    ...detailCharts(runs),
    chart('L1 term', 'nats', 'Coefficient times the L1 norm of the hidden activations.', {
      series: runs.some(({ records }) => records.steps.some((step) => step.l1 > 0))
        ? overSteps(runs, [{ label: '', value: (s) => s.l1, smoothed: true }])
        : [],
    }),
    ...mixtureCharts(runs),
  ];
  return charts.filter(({ series }) => series.some(({ values }) => values.some((value) => value !== null)));
}

function detailCharts(runs: readonly ChartRun[]): Chart[] {
  const byPoint = (field: 'sparsity' | 'energyKept'): Series[] =>
    overDetails(
      runs,
      POINTS.map((point) => ({ label: point, value: (detail) => mean(detail[field]?.[point] ?? []) })),
    );
  const projections = runs.length > 1 ? [] : Object.keys(runs[0]?.records.details.at(-1)?.gradNorm ?? {});
  return [
    chart('Zeros', 'share of the inputs', 'Zeros in the inputs of the projections, weighted by parameters.', {
      percent: true,
      series: overSteps(runs, [{ label: 'whole model', value: (s) => s.modelSparsity, smoothed: true }]),
    }),
    chart('Zeros by point', 'share of the inputs', 'Zeros in the input of each point, mean over the layers.', {
      percent: true,
      series: byPoint('sparsity'),
    }),
    chart('Energy kept', 'share of the squares', 'Sum of squares that survived the selection, mean over the layers.', {
      percent: true,
      series: byPoint('energyKept'),
    }),
    chart('Dead channels', 'share of the channels', 'Hidden channels that no token of the step opened.', {
      percent: true,
      series: overDetails(runs, [
        { label: 'mean of the layers', value: (detail) => mean(detail.deadChannels ?? []) },
        { label: 'worst layer', value: (detail) => Math.max(...(detail.deadChannels ?? [])) },
      ]),
    }),
    chart('Gradient by projection', 'L2 norm', 'L2 norm of the gradient of each projection, mean over the layers.', {
      logarithmic: true,
      series: overDetails(
        runs,
        projections.map((name) => ({ label: name, value: (detail) => mean(detail.gradNorm?.[name] ?? []) })),
      ),
    }),
  ];
}

/** Without values where no run is a mixture of experts. */
function mixtureCharts(runs: readonly ChartRun[]): Chart[] {
  const router = (label: string, field: 'largestShare' | 'deadExperts' | 'loadBalance') => ({
    label,
    value: (step: StepRecord) => step.router?.[field] ?? Number.NaN,
    smoothed: true,
  });
  return [
    chart('Load of the experts', 'share', 'The most loaded expert of any layer, and experts that no token chose.', {
      percent: true,
      series: overSteps(runs, [router('largest share', 'largestShare'), router('dead experts', 'deadExperts')]),
    }),
    chart('Load balance', '1 is even', 'Experts times the sum of share and mean probability, mean over the layers.', {
      series: overSteps(runs, [router('', 'loadBalance')]),
    }),
  ];
}

function lossChart(runs: readonly ChartRun[]): Chart {
  const training = overSteps(runs, [
    { label: 'each step', value: (s) => s.loss, look: 'faint', sameColor: true },
    { label: 'training', value: (s) => s.loss, smoothed: true, sameColor: true },
  ]);
  const validation = runs.flatMap((run, r) =>
    validationSeries(runs, run, r, (record) => record.loss, 'validation').map((series) => ({
      ...series,
      color: runs.length > 1 ? r : 1,
      dash: 1,
    })),
  );
  return chart(
    'Loss',
    'nats per token',
    'Training loss of each step (faint), smoothed, and validation loss (dashed).',
    {
      large: true,
      series: [...training, ...validation],
    },
  );
}

function chart(title: string, unit: string, description: string, rest: Partial<Chart> & Pick<Chart, 'series'>): Chart {
  return { title, unit, description, large: false, logarithmic: false, percent: false, ...rest };
}

function validationSeries(
  runs: readonly ChartRun[],
  run: ChartRun,
  r: number,
  value: (record: SortedRecords['validations'][number]) => number,
  label = '',
): Series[] {
  if (run.records.validations.length === 0) return [];
  const values = rounded(run.records.validations.map(value));
  return [{ label: labelOf(runs, r, label), run: r, axis: 'validations', values, color: r, look: 'points', dash: 0 }];
}

interface Curve<Record> {
  label: string;
  value: (record: Record) => number;
  smoothed?: boolean;
  look?: Series['look'];
  /** One thing drawn twice, not two things. */
  sameColor?: boolean;
}

function overSteps(runs: readonly ChartRun[], curves: readonly Curve<StepRecord>[]): Series[] {
  return seriesOf(runs, curves, 'steps', ({ steps }, curve) => {
    const values = steps.map(curve.value);
    const drawn = curve.smoothed ? smooth(values) : values;
    return stepIndices(steps).map((i) => drawn[i]);
  });
}

function overDetails(runs: readonly ChartRun[], curves: readonly Curve<DetailRecord>[]): Series[] {
  return seriesOf(runs, curves, 'details', ({ details }, curve) => thinDetails(details).map(curve.value));
}

function seriesOf<Record>(
  runs: readonly ChartRun[],
  curves: readonly Curve<Record>[],
  axis: AxisName,
  valuesOf: (records: SortedRecords, curve: Curve<Record>) => number[],
): Series[] {
  return runs.flatMap(({ records }, r) =>
    curves.flatMap((curve, c) => {
      const values = rounded(valuesOf(records, curve));
      if (values.length === 0) return [];
      const several = runs.length > 1;
      const color = several || curve.sameColor ? r : c;
      const dash = several && !curve.sameColor ? c : 0;
      return [{ label: labelOf(runs, r, curve.label), run: r, axis, values, color, look: curve.look ?? 'line', dash }];
    }),
  );
}

function labelOf(runs: readonly ChartRun[], r: number, label: string): string {
  if (runs.length === 1) return label || runs[r].name;
  return label ? `${runs[r].name}: ${label}` : runs[r].name;
}

/** One choice for all curves of a run, so that they share their axis; by the loss, whose spikes matter most. */
function stepIndices(steps: readonly StepRecord[]): number[] {
  return thin(steps.map(({ loss }) => loss));
}

function thinSteps(steps: readonly StepRecord[]): StepRecord[] {
  return stepIndices(steps).map((i) => steps[i]);
}

export function thinDetails(details: readonly DetailRecord[]): readonly DetailRecord[] {
  return evenSample(details, MAX_DETAILS);
}

function axisOf(records: readonly { step: number; tokens: number; seconds: number }[]): Axis {
  return {
    step: records.map(({ step }) => step),
    tokens: records.map(({ tokens }) => tokens),
    seconds: records.map(({ seconds }) => Number(seconds.toFixed(2))),
  };
}

function lastAtOrBefore(steps: readonly StepRecord[], step: number): StepRecord | undefined {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle].step <= step) low = middle + 1;
    else high = middle;
  }
  return steps[low - 1];
}
