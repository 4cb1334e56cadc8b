/** ChartsView: the charts of src/report drawn with uPlot, on one horizontal axis for all, with one cursor. */

import './valid-language.ts';
import uPlot from 'uplot';
import type { Axis, AxisName, Chart, Series } from '../../src/report/charts.ts';
import { h, onThemeChange, themeColor } from './dom.ts';
import { short, trim } from './numbers.ts';

export type XName = keyof Axis;

/** What is drawn: of buildCharts and buildAxes. */
export interface Curves {
  readonly charts: readonly Chart[];
  /** Of each run. */
  readonly axes: readonly Readonly<Record<AxisName, Axis>>[];
  /** Of each run where there are several, so that it keeps its own whatever is shown beside it; left out, in their order. */
  readonly colors?: readonly number[];
}

const COLORS = 8;
/** Of the lines of one run, where colours tell runs apart. */
const DASHES: readonly number[][] = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 4], [4, 2, 1, 2], [1, 2]];
const MINUTE = 60;
const HOUR = 3600;
/** Ticks of a time axis at round minutes and hours instead of powers of ten of a second. */
const TIME_STEPS = [
  ...[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30],
  ...[1, 2, 5, 10, 15, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12, 24, 48, 120, 240, 480, 960].map((hours) => hours * HOUR),
];
const HEIGHT = 230;
const LARGE_HEIGHT = 360;

export class ChartsView {
  readonly #root: HTMLElement;
  readonly #heading: 'h2' | 'h3';
  #curves: Curves = { charts: [], axes: [] };
  #x: XName = 'tokens';
  #skipsStart = true;
  #plots: { plot: uPlot; element: HTMLElement }[] = [];
  /** What the plots were built of, but for their numbers. */
  #built = '';

  /** `heading`: of each chart. */
  constructor(root: HTMLElement, heading: 'h2' | 'h3') {
    this.#root = root;
    this.#heading = heading;
    onThemeChange(() => this.#build());
    new ResizeObserver(() => this.#resize()).observe(root);
  }

  show(curves: Curves, x: XName, skipsStart: boolean): void {
    this.#curves = curves;
    this.#x = x;
    this.#skipsStart = skipsStart;
    const lines = curves.charts.map(({ series, ...chart }) => [
      chart,
      series.map(({ values, ...line }) => [line, hasPoints(values)]),
    ]);
    const wanted = JSON.stringify([curves.colors, x, lines]);
    if (wanted === this.#built) this.#update();
    else this.#build();
    this.#built = wanted;
  }

  /** New numbers in the same plots; whoever looks at a part of one goes on to look at it. */
  #update(): void {
    for (const [i, { plot }] of this.#plots.entries()) {
      const shown = plot.data[0] as number[];
      const { min, max } = plot.scales.x;
      const isWhole = min === undefined || max === undefined || (min <= shown[0] && max >= shown[shown.length - 1]);
      plot.setData(this.#tableOf(this.#curves.charts[i]), isWhole);
      if (!isWhole) plot.redraw();
    }
  }

  #build(): void {
    const { charts } = this.#curves;
    for (const { plot } of this.#plots) plot.destroy();
    const elements = charts.map((chart) =>
      h('div', { role: 'img', 'aria-label': `${chart.title}, ${chart.unit}. ${chart.description}` }),
    );
    const figures = charts.map((chart, i) => {
      const caption = h(
        'figcaption',
        {},
        h(this.#heading, {}, chart.title),
        h('p', {}, `${chart.unit} · ${chart.description}`),
      );
      return h('figure', { class: `card chart${chart.large ? ' large' : ''}` }, caption, elements[i]);
    });
    this.#root.replaceChildren(...figures);
    this.#plots = charts.map((chart, i) => ({ plot: this.#plot(chart, elements[i]), element: elements[i] }));
  }

  #plot(chart: Chart, element: HTMLElement): uPlot {
    const formatY = (value: number | null) =>
      value === null ? '–' : chart.percent ? `${trim(100 * value)} %` : short(value);
    const formatX = (value: number | null) =>
      value === null ? '–' : this.#x === 'seconds' ? duration(value) : short(value);
    const axis = axisStyle();
    const options: uPlot.Options = {
      width: Math.max(200, element.clientWidth),
      height: chart.large ? LARGE_HEIGHT : HEIGHT,
      scales: { x: { time: false }, y: chart.logarithmic ? { distr: 3, log: 10 } : {} },
      series: [
        { label: this.#x, value: (_, value) => formatX(value) },
        ...chart.series.map((series) => this.#series(series, formatY)),
      ],
      axes: [
        {
          ...axis,
          ...(this.#x === 'seconds' && { incrs: TIME_STEPS }),
          values: (_, ticks) => ticks.map(formatX),
          space: 70,
        },
        {
          ...axis,
          ...(chart.logarithmic && { splits: decadeTicks }),
          values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : formatY(tick))),
          size: 62,
        },
      ],
      cursor: { sync: { key: 'charts' }, focus: { prox: 16 } },
      focus: { alpha: 0.35 },
      legend: { markers: this.#markers(chart) },
    };
    return new uPlot(options, this.#tableOf(chart), element);
  }

  #tableOf({ series }: Chart): uPlot.AlignedData {
    const { axes } = this.#curves;
    const tables = series.map(
      ({ run, axis, values }): uPlot.AlignedData => [axes[run][axis][this.#x] as number[], values],
    );
    return this.#withoutStart(uPlot.join(tables));
  }

  /** Filled for a solid line, a frame for a dashed one. */
  #markers({ series }: Chart): uPlot.Legend.Markers {
    const color = (i: number) => themeColor(`--c${this.#colorOf(series[i - 1]) % COLORS}`);
    const isDashed = (i: number) => series[i - 1].dash > 0;
    return {
      width: 2,
      stroke: (_, i) => (i === 0 ? 'transparent' : color(i)),
      dash: (_, i) => (i > 0 && isDashed(i) ? 'dashed' : 'solid'),
      fill: (_, i) => (i === 0 || isDashed(i) ? 'transparent' : color(i)),
    };
  }

  /** With several runs the run's, else the curve's. */
  #colorOf({ color, run }: Series): number {
    const { axes, colors } = this.#curves;
    return axes.length > 1 && colors !== undefined ? colors[run] : color;
  }

  #series(series: Series, format: (value: number | null) => string): uPlot.Series {
    const { label, look, dash, values } = series;
    const stroke = themeColor(`--c${this.#colorOf(series) % COLORS}`);
    const isFaint = look === 'faint';
    return {
      label,
      class: look,
      stroke: isFaint ? stroke.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.25)') : stroke,
      width: isFaint ? 1 : 2,
      dash: DASHES[dash % DASHES.length],
      spanGaps: true,
      points: { show: look === 'points' || hasPoints(values), size: 6, fill: stroke },
      value: (_, value) => format(value),
    };
  }

  /** The first steps fall so fast that the rest of the run looks flat beside them. */
  #withoutStart(data: uPlot.AlignedData): uPlot.AlignedData {
    if (!this.#skipsStart) return data;
    const x = data[0] as number[];
    const first = x.findIndex((value) => value >= x[x.length - 1] / 10);
    return data.map((column) => column.slice(Math.max(0, first))) as unknown as uPlot.AlignedData;
  }

  #resize(): void {
    for (const { plot, element } of this.#plots) {
      const width = element.clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
    }
  }
}

/** Too few for a line. */
function hasPoints(values: readonly unknown[]): boolean {
  return values.length < 3;
}

function axisStyle(): uPlot.Axis {
  const line = { stroke: themeColor('--line'), width: 1 };
  return { stroke: themeColor('--dim'), grid: line, ticks: line, font: '12px system-ui, sans-serif' };
}

/** A grid line at every 2 .. 9 of a decade would be a grey wall. */
function decadeTicks(_: uPlot, _axis: number, low: number, high: number): number[] {
  const digits = high / low < 50 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    ticks.push(...digits.map((digit) => Number((digit * 10 ** power).toPrecision(1))));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}

function duration(seconds: number): string {
  if (seconds < 2 * MINUTE) return `${trim(seconds)} s`;
  if (seconds < 2 * HOUR) return `${trim(seconds / MINUTE)} min`;
  return `${trim(seconds / HOUR)} h`;
}
