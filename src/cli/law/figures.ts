/**
 * The figures of a law and its runs, after figures 3 and 4 of Q-Sparse (arXiv 2407.10969): loss by size and by sparsity with the runs as dots;
 * loss by activated parameters, and the lines of equal loss over sparsity and activated parameters with the optimum across them.
 */

import { axis, type ChartPoint, type ChartSeries, chart, logAxis, SERIES_STYLES } from '../../report/svg-chart.ts';
import { type LawConstants, type LawForm, type LawPoint, lawLoss } from '../../scaling/law-form.ts';
import { optimalSparsity, sizeTerms } from '../../scaling/optimal-sparsity.ts';
import { formatPercent } from '../../util/format.ts';
import { mean } from '../../util/mean.ts';

export interface FigureLaw {
  readonly name: string;
  readonly form: LawForm;
  readonly constants: LawConstants;
  /** Of N, in words: `M` for millions. */
  readonly unit: string;
}

/** A run. Where its sparsity is the measured one, `asked` is what others have alike. */
export type FigurePoint = LawPoint & { readonly asked?: number };

const askedOf = ({ asked, sparsity }: FigurePoint): number => asked ?? sparsity;

const CURVE_POINTS = 60;
const LEVELS = 7;
const MOST_TICKS = 6;

/** `{ file name: SVG }`. `points` are the runs of the law, or the places to draw it at where there are none. */
export function lawFigures(law: FigureLaw, points: readonly FigurePoint[]): Record<string, string> {
  return {
    [`law-${law.name}-fit.svg`]: fitFigure(law, points),
    [`law-${law.name}-activated.svg`]: activatedFigure(law, points),
  };
}

function fitFigure(law: FigureLaw, points: readonly FigurePoint[]): string {
  const sizes = distinct(points.map(({ size }) => size));
  const sparsities = distinct(points.map(askedOf));
  const sizeAxis = sizesAxis(sizes[0], sizes[sizes.length - 1], law.unit);
  const y = axis(...extent(points.map(({ loss }) => loss)));
  const tokens = points[0].tokens;
  const lossAt = (size: number, sparsity: number) => lawLoss(law.form, law.constants, { size, sparsity, tokens });
  const shown = everyFew(sparsities);
  const bySize = shown.flatMap((asked, i) => {
    const own = points.filter((point) => askedOf(point) === asked);
    const sparsity = mean(own.map((point) => point.sparsity));
    return [
      dots(i, own, ({ size, loss }) => [sizeAxis.at(size), loss]),
      line(
        i,
        between(sizeAxis.min, sizeAxis.max).map((x): ChartPoint => [x, lossAt(2 ** x, sparsity)]),
        y,
      ),
    ];
  });
  const most = Math.max(...points.map(({ sparsity }) => sparsity));
  const chosen = everyFew(sizes);
  const bySparsity = chosen.flatMap((size, i) => [
    dots(
      i,
      points.filter((point) => point.size === size),
      ({ sparsity, loss }) => [sparsity, loss],
    ),
    line(
      i,
      between(0, most).map((sparsity): ChartPoint => [sparsity, lossAt(size, sparsity)]),
      y,
    ),
  ]);
  const legend = [
    ...shown.map((sparsity, i) => ({ style: SERIES_STYLES[i], text: `S ${formatPercent(sparsity, 0)}` })),
    ...chosen.map((size, i) => ({ style: SERIES_STYLES[i], text: `N ${round(size)} ${law.unit}` })),
  ];
  const percentAxis = axis(0, most, { format: (value) => formatPercent(value, 0) });
  return chart({
    label: `Loss of the ${law.name} runs by parameters and by sparsity, with the fitted law`,
    panels: [
      { title: 'Loss by parameters N; one line a sparsity', series: bySize, x: sizeAxis, y },
      { title: 'Loss by sparsity S; one line a size', series: bySparsity, x: percentAxis, y },
    ],
    legend,
    footer: `${law.name}: L = ${law.form.formula}`,
  });
}

function activatedFigure(law: FigureLaw, points: readonly LawPoint[]): string {
  const { form, constants } = law;
  const tokens = points[0].tokens;
  const best = optimalSparsity(form, constants);
  const activated = points.map(({ size, sparsity }) => size * (1 - sparsity));
  const [least, most] = extent(activated);
  const x = sizesAxis(least, most, law.unit);
  const lossAt = (count: number, sparsity: number) =>
    lawLoss(form, constants, { size: count / (1 - sparsity), sparsity, tokens });
  const largest = Math.max(...points.map(({ sparsity }) => sparsity));
  const shown = distinct([0, Math.min(best, largest), largest]);
  const losses = shown.flatMap((sparsity) => [lossAt(2 ** x.min, sparsity), lossAt(2 ** x.max, sparsity)]);
  const y = axis(...extent(losses));
  const curves = shown.map((sparsity, i) =>
    line(
      i,
      between(x.min, x.max).map((at): ChartPoint => [at, lossAt(2 ** at, sparsity)]),
      y,
    ),
  );
  const sparsityAxis = axis(0, largest, { format: (value) => formatPercent(value, 0) });
  const optimum: ChartSeries = {
    style: 'level',
    points: [
      [best, x.min],
      [best, x.max],
    ],
  };
  const levels = levelLines(law, tokens, largest, x, between(y.min, y.max, LEVELS + 1).slice(1, -1));
  return chart({
    label: `Loss of the ${law.name} law by activated parameters, and its lines of equal loss`,
    panels: [
      { title: 'Loss by activated parameters N (1 - S)', series: curves, x, y },
      {
        title: `Equal loss: activated by S; optimum ${formatPercent(best)}`,
        series: [...levels, ...(best <= largest ? [optimum] : [])],
        x: sparsityAxis,
        y: x,
      },
    ],
    legend: shown.map((sparsity, i) => ({
      style: SERIES_STYLES[i],
      text: `S ${formatPercent(sparsity)}${sparsity === best ? ', the optimum' : ''}`,
    })),
    footer: `${law.name}: L = ${form.formula}`,
  });
}

/** Where L = level: N_a = (1 - S) (A(S) / (level - floor))^(1 / alpha). */
function levelLines(
  { form, constants }: FigureLaw,
  tokens: number | undefined,
  largest: number,
  x: { min: number; max: number },
  levels: readonly number[],
): ChartSeries[] {
  // A size that leaves nothing of the term that it is in.
  const floor = lawLoss(form, constants, { size: Number.MAX_VALUE, sparsity: 0, tokens });
  return levels
    .filter((level) => level > floor)
    .flatMap((level): ChartSeries[] => {
      const points = between(0, largest).map((sparsity): ChartPoint => {
        const size = (sizeTerms(form, constants, sparsity) / (level - floor)) ** (1 / constants.alpha);
        return [sparsity, Math.log2(size * (1 - sparsity))];
      });
      return piecesWithin(points, x).map((piece) => ({ style: 'sparse', points: piece }));
    });
}

/** The stretches of a curve that lie within an axis: one that leaves it and comes back is not joined along its edge. */
function piecesWithin(points: readonly ChartPoint[], { min, max }: { min: number; max: number }): ChartPoint[][] {
  const pieces: ChartPoint[][] = [[]];
  for (const point of points) {
    if (point[1] >= min && point[1] <= max) pieces[pieces.length - 1].push(point);
    else pieces.push([]);
  }
  return pieces.filter(({ length }) => length > 1);
}

function dots(i: number, points: readonly LawPoint[], at: (point: LawPoint) => ChartPoint): ChartSeries {
  return { style: SERIES_STYLES[i], points: points.map(at), marks: true, scattered: true };
}

function line(i: number, points: readonly ChartPoint[], y: { min: number; max: number }): ChartSeries {
  return { style: SERIES_STYLES[i], points: points.filter(([, value]) => value >= y.min && value <= y.max) };
}

/** Powers of two; of many only every second has its text, so that texts stand apart. */
function sizesAxis(min: number, max: number, unit: string): ReturnType<typeof logAxis> {
  const whole = logAxis(min, max, (value) => `${round(value)} ${unit}`);
  if (whole.ticks.length <= MOST_TICKS) return whole;
  const last = whole.ticks.length - 1;
  return { ...whole, ticks: whole.ticks.filter((_, i) => (last - i) % 2 === 0) };
}

/** At most as many as there are styles, the first and the last among them. */
function everyFew(values: readonly number[]): number[] {
  const count = Math.min(values.length, SERIES_STYLES.length);
  return Array.from(
    { length: count },
    (_, i) => values[Math.round((i * (values.length - 1)) / Math.max(1, count - 1))],
  );
}

function between(min: number, max: number, parts = CURVE_POINTS): number[] {
  return Array.from({ length: parts + 1 }, (_, i) => min + ((max - min) * i) / parts);
}

function distinct(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

function extent(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}
