/**
 * Line charts as SVG text: panels side by side, a legend, a footer. Colours follow the reader's light or dark scheme.
 *
 * A chart is data: panels with a title, series and two axes. Styles are the names in STYLES; `level` is for lines to compare with. What is
 * drawn, and on which scale, is the caller's choice: points come in the coordinates of the axes.
 */

import { roundStep } from '../util/round-step.ts';
import { escapeHtml } from './escape.ts';

const PANEL = { width: 380, height: 250, left: 50, top: 34, gap: 70 };
const LEGEND_ENTRY = { line: 24, gap: 6, character: 6.6, after: 22, row: 20 };

const STYLES = {
  dense: ['#2d6cdf', '#74a5ff'],
  sparse: ['#d9480f', '#ff8a50'],
  third: ['#2b8a3e', '#69db7c'],
  fourth: ['#862e9c', '#da77f2'],
  level: ['#888', '#999'],
  fifth: ['#0b7285', '#3bc9db'],
  sixth: ['#a15c00', '#f2b544'],
  seventh: ['#c2255c', '#ff7ba6'],
} as const;

const USUAL: readonly ChartStyle[] = ['dense', 'sparse', 'third', 'fourth', 'level'];

export type ChartStyle = keyof typeof STYLES;

/** The styles that a chart gives to its series one after the other. */
export const SERIES_STYLES: readonly ChartStyle[] = ['sparse', 'dense', 'third', 'fourth', 'fifth', 'sixth', 'seventh'];

export type ChartPoint = readonly [x: number, y: number];

export interface ChartSeries {
  style: ChartStyle;
  points: readonly ChartPoint[];
  /** A dot at each point. */
  marks?: boolean;
  /** No line between the points. */
  scattered?: boolean;
}

export interface ChartAxis {
  min: number;
  max: number;
  ticks: readonly (readonly [value: number, text: string | number])[];
}

export interface ChartPanel {
  title: string;
  series: readonly ChartSeries[];
  x: ChartAxis;
  y: ChartAxis;
}

export interface ChartLegendEntry {
  style: ChartStyle;
  text: string;
}

export interface ChartOptions {
  /** Says in words what it shows, for readers who cannot see it. */
  label: string;
  panels: readonly ChartPanel[];
  legend: readonly ChartLegendEntry[];
  footer?: string;
}

export interface AxisOptions {
  count?: number;
  format?: (value: number) => string;
}

/** About `count` round values that span min .. max, with their texts (as many decimals as tell them apart). */
export function axis(min: number, max: number, { count = 5, format }: AxisOptions = {}): ChartAxis {
  const step = roundStep(max - min || 1, count);
  const first = Math.floor(min / step + 1e-9);
  const last = Math.ceil(max / step - 1e-9);
  const values = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const textOf = format ?? ((value: number) => value.toFixed(decimals));
  return { min: values[0], max: values[values.length - 1], ticks: values.map((value) => [value, textOf(value)]) };
}

/** One place for each of `names`, the first at 0, with room at both ends. */
export function categories(names: readonly (string | number)[]): ChartAxis {
  return { min: -0.3, max: names.length - 0.7, ticks: names.map((name, i) => [i, name]) };
}

/** Powers of two that span min .. max; `at(value)` is the place of a value on it. */
export function logAxis(
  min: number,
  max: number,
  format: (value: number) => string = String,
): ChartAxis & { at: (value: number) => number } {
  const [first, last] = [Math.floor(Math.log2(min)), Math.ceil(Math.log2(max))];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return { min: first, max: last, ticks: powers.map((power) => [power, format(2 ** power)]), at: Math.log2 };
}

/** Speed-ups, with 1, where dense is, among them. */
export function speedupAxis(values: readonly number[]): ChartAxis {
  return axis(Math.min(1, ...values), Math.max(1, ...values));
}

/** A line across an axis to compare with. */
export function levelAt(value: number, { min, max }: ChartAxis): ChartSeries {
  return {
    style: 'level',
    points: [
      [min, value],
      [max, value],
    ],
  };
}

const escapeXml = (text: string | number) => escapeHtml(String(text));

function panelText({ title, series, x, y }: ChartPanel, left: number): string {
  const right = left + PANEL.width;
  const bottom = PANEL.top + PANEL.height;
  const xOf = (value: number) => (left + (PANEL.width * (value - x.min)) / (x.max - x.min)).toFixed(1);
  const yOf = (value: number) => (bottom - (PANEL.height * (value - y.min)) / (y.max - y.min)).toFixed(1);
  const rows = y.ticks.map(
    ([value, text]) =>
      `<line class="grid" x1="${left}" x2="${right}" y1="${yOf(value)}" y2="${yOf(value)}"/>` +
      `<text x="${left - 6}" y="${(Number(yOf(value)) + 4).toFixed(1)}" text-anchor="end">${escapeXml(text)}</text>`,
  );
  const columns = x.ticks.map(
    ([value, text]) => `<text x="${xOf(value)}" y="${bottom + 18}" text-anchor="middle">${escapeXml(text)}</text>`,
  );
  const lines = series.map(({ style, points, marks, scattered }) => {
    const d = points.map(([px, py], i) => `${i ? 'L' : 'M'}${xOf(px)} ${yOf(py)}`).join('');
    const dots = marks
      ? points.map(([px, py]) => `<circle class="${style}" cx="${xOf(px)}" cy="${yOf(py)}" r="3.5"/>`).join('')
      : '';
    return `${scattered ? '' : `<path class="${style}" d="${d}"/>`}${dots}`;
  });
  return `<text class="title" x="${left}" y="18">${escapeXml(title)}</text>${[...rows, ...columns, ...lines].join('')}`;
}

/** Entries in rows that the figure is wide enough for; the text and how many rows there are. */
function legendText(legend: readonly ChartLegendEntry[], width: number, top: number): { text: string; rows: number } {
  let [x, row] = [PANEL.left, 0];
  const entries = legend.map(({ style, text }) => {
    const { line, gap, character, after } = LEGEND_ENTRY;
    const length = Math.round(line + gap + text.length * character + after);
    if (x > PANEL.left && x + length - after > width) [x, row] = [PANEL.left, row + 1];
    const y = top + row * LEGEND_ENTRY.row;
    const entry = `<path class="${style}" d="M${x} ${y - 4}h${line}"/><text x="${x + line + gap}" y="${y}">${escapeXml(text)}</text>`;
    x += length;
    return entry;
  });
  return { text: entries.join('\n'), rows: row + 1 };
}

/** Rules for the usual styles, and for the others where the figure has them. */
function styleText(panels: readonly ChartPanel[]): string {
  const used = new Set<string>([...USUAL, ...panels.flatMap(({ series }) => series.map(({ style }) => style))]);
  const rules = (scheme: 0 | 1) =>
    Object.entries(STYLES)
      .filter(([name]) => used.has(name))
      .map(
        ([name, colours]) => `path.${name} { stroke: ${colours[scheme]} } circle.${name} { fill: ${colours[scheme]} }`,
      )
      .join(' ');
  return figureStyle(`path.level { stroke-dasharray: 5 4 }\n${rules(0)}`, rules(1));
}

/** The style sheet of a figure: rules for its own classes by the reader's scheme, and what all figures have. */
export function figureStyle(light: string, dark: string): string {
  return `text { font: 12px system-ui, sans-serif; fill: #444 } .title { font-weight: 600; font-size: 14px; fill: #222 }
.grid { stroke: #ddd } path { fill: none; stroke-width: 2 } ${light}
@media (prefers-color-scheme: dark) { text { fill: #bbb } .title { fill: #eee } .grid { stroke: #444 } ${dark} }`;
}

/** The whole figure. */
export function chart({ label, panels, legend, footer = '' }: ChartOptions): string {
  const step = PANEL.width + PANEL.gap;
  const width = PANEL.left + panels.length * step - PANEL.gap + 20;
  const bottom = PANEL.top + PANEL.height;
  const entries = legendText(legend, width, bottom + 48);
  const legendY = bottom + 48 + (entries.rows - 1) * LEGEND_ENTRY.row;
  const height = legendY + (footer ? 26 : 12);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(label)}">
<style>
${styleText(panels)}
</style>
${panels.map((panel, i) => panelText(panel, PANEL.left + i * step)).join('\n')}
${entries.text}
${footer ? `<text x="${PANEL.left}" y="${legendY + 20}">${escapeXml(footer)}</text>\n` : ''}</svg>
`;
}
