/**
 * scatterFigure: points with names in panels side by side, as the text of an SVG file that needs nothing else.
 *
 * Points of one series are joined in their order: what one model does at several settings. Colours follow the reader's light or dark scheme.
 */

import { escapeHtml } from './escape.ts';
import { axis, type ChartAxis, figureStyle } from './svg-chart.ts';

export interface ScatterPoint {
  readonly x: number;
  readonly y: number;
  /** Half the length of the bar through the point; null: none. */
  readonly error: number | null;
  readonly name: string;
}

export interface ScatterPanel {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  /** In the same order in every panel, so that a colour is a series everywhere. */
  readonly series: readonly (readonly ScatterPoint[])[];
}

const PANEL = { width: 400, height: 340, left: 70, top: 40, gap: 80, below: 56 };
/** On light and on dark. */
const COLORS = [
  ['#d9480f', '#ff8a50'],
  ['#2d6cdf', '#74a5ff'],
  ['#2b8a3e', '#69db7c'],
  ['#862e9c', '#da77f2'],
  ['#846000', '#e5b800'],
  ['#0b7285', '#3bc9db'],
] as const;
/** About. */
const TICKS = 8;

/** `label` says in words what it shows, for readers who cannot see it. Two panels a row. Without any point there are axes only. */
export function scatterFigure(label: string, panels: readonly ScatterPanel[]): string {
  const columns = Math.min(2, panels.length);
  const rows = Math.ceil(panels.length / 2);
  const width = PANEL.left + columns * (PANEL.width + PANEL.gap) - PANEL.gap + 24;
  const height = rows * (PANEL.top + PANEL.height + PANEL.below);
  const texts = panels.map((panel, i) => {
    const left = PANEL.left + (i % 2) * (PANEL.width + PANEL.gap);
    return panelText(panel, left, Math.floor(i / 2) * (PANEL.top + PANEL.height + PANEL.below) + PANEL.top);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(label)}">
<style>
${styleText()}
</style>
${texts.join('\n')}
</svg>
`;
}

function panelText({ title, xTitle, yTitle, series }: ScatterPanel, left: number, top: number): string {
  const points = series.flat();
  const x = axisAround(points.map((point) => point.x));
  const y = axisAround(points.flatMap((point) => [point.y - (point.error ?? 0), point.y + (point.error ?? 0)]));
  const [right, bottom] = [left + PANEL.width, top + PANEL.height];
  const xOf = (value: number) => (left + (PANEL.width * (value - x.min)) / (x.max - x.min)).toFixed(1);
  const yOf = (value: number) => (bottom - (PANEL.height * (value - y.min)) / (y.max - y.min)).toFixed(1);
  const text = (content: string, at: string) => `<text ${at}>${escapeHtml(content)}</text>`;
  const parts = [
    text(title, `class="title" x="${left}" y="${top - 20}"`),
    text(yTitle, `x="${left}" y="${top - 6}"`),
    text(xTitle, `x="${right}" y="${bottom + 36}" text-anchor="end"`),
    ...y.ticks.flatMap(([tick, shown]) => [
      `<line class="grid" x1="${left}" x2="${right}" y1="${yOf(tick)}" y2="${yOf(tick)}"/>`,
      text(String(shown), `x="${left - 6}" y="${(Number(yOf(tick)) + 4).toFixed(1)}" text-anchor="end"`),
    ]),
    ...x.ticks.map(([tick, shown]) => text(String(shown), `x="${xOf(tick)}" y="${bottom + 18}" text-anchor="middle"`)),
  ];
  const at = (px: number, py: number): Position => ({ x: Number(xOf(px)), y: Number(yOf(py)) });
  const lines = series.flatMap((own): Line[] => [
    ...own.slice(1).map((point, i): Line => [at(own[i].x, own[i].y), at(point.x, point.y)]),
    ...own.map(({ x, y, error }): Line => [at(x, y - (error ?? 0)), at(x, y + (error ?? 0))]),
  ]);
  const marks = points.map((point) => ({ ...at(point.x, point.y), name: point.name }));
  const places = placeNames(marks, lines, { left, right, top, bottom });
  let next = 0;
  for (const [s, own] of series.entries()) {
    const color = `c${s % COLORS.length}`;
    if (own.length > 1) {
      const d = own.map((point, i) => `${i === 0 ? 'M' : 'L'}${xOf(point.x)} ${yOf(point.y)}`).join('');
      parts.push(`<path class="${color}" d="${d}"/>`);
    }
    for (const { x: px, y: py, error, name } of own) {
      if (error !== null && error > 0) {
        parts.push(`<path class="${color}" d="M${xOf(px)} ${yOf(py - error)}L${xOf(px)} ${yOf(py + error)}"/>`);
      }
      parts.push(`<circle class="${color}" cx="${xOf(px)}" cy="${yOf(py)}" r="4"/>`);
      const place = places[next++];
      const [x2, base] = [place.x.toFixed(1), place.y.toFixed(1)];
      if (place.isFar) {
        const y2 = endOf(place).y.toFixed(1);
        parts.push(`<line class="grid" x1="${xOf(px)}" y1="${yOf(py)}" x2="${x2}" y2="${y2}"/>`);
      }
      parts.push(text(name, `x="${x2}" y="${base}" text-anchor="${place.anchor}"`));
    }
  }
  return parts.join('\n');
}

interface Position {
  readonly x: number;
  readonly y: number;
}

type Line = readonly [Position, Position];

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface NamePlace {
  readonly x: number;
  /** Of the baseline. */
  readonly y: number;
  readonly anchor: 'start' | 'end';
  readonly isFar: boolean;
}

const LETTER_WIDTH = 6.6;
const LETTER_HEIGHT = 11;
/** From the middle of a point to the baseline of its name and to the nearer end of it: beside the point, and where there is no room further off, at the end of a line. */
const NEAR_LIFTS = [-6, 14];
const FAR_LIFTS = [-20, 28, -34, 42, -48, 56, -62, 70, -76, 84, -90, 98, -104, 112, -118, 126];
const NEAR_SHIFT = 8;
const FAR_SHIFTS = [8, 24, 40, 56, 72, 88, 104, 120];

/** The nearest first. */
const FAR_OFFSETS = FAR_SHIFTS.flatMap((shift) => FAR_LIFTS.map((lift) => [shift, lift])).sort(
  (a, b) => Math.hypot(...a) - Math.hypot(...b),
);

/**
 * A place for each name where it covers no point and no name before it: beside its point, else further off, as near as it can be with a line to it past all
 * other points and names; across no line where that can be, and towards the middle of the panel. In a crowd without such a place it stands at the first.
 */
function placeNames(
  points: readonly (Position & { readonly name: string })[],
  lines: readonly Line[],
  panel: Box,
): NamePlace[] {
  const taken = points.map(({ x, y }) => ({ left: x - 4, right: x + 4, top: y - 4, bottom: y + 4 }));
  return points.map(({ x, y, name }, i) => {
    const isRight = x > (panel.left + panel.right) / 2;
    const beside = (shift: number, lift: number, isFar: boolean): NamePlace[] => {
      const places: NamePlace[] = [
        { x: x + shift, y: y + lift, anchor: 'start', isFar },
        { x: x - shift, y: y + lift, anchor: 'end', isFar },
      ];
      return isRight ? places.reverse() : places;
    };
    const places = [
      ...NEAR_LIFTS.flatMap((lift) => beside(NEAR_SHIFT, lift, false)),
      ...FAR_OFFSETS.flatMap(([shift, lift]) => beside(shift, lift, true)),
    ];
    const free = places.filter((place) => {
      const box = boxOf(place, name);
      return isInside(box, panel) && !taken.some((other) => overlap(box, other));
    });
    const isClear = (place: NamePlace) => !lines.some((line) => crosses(line, boxOf(place, name)));
    const isPlain = (place: NamePlace) =>
      !place.isFar || !taken.some((other, j) => j !== i && crosses([{ x, y }, endOf(place)], other));
    const place = free.find((one) => isPlain(one) && isClear(one)) ?? free.find(isPlain) ?? free[0] ?? places[0];
    taken.push(boxOf(place, name));
    return place;
  });
}

/** Of the line from a point to its name. */
function endOf({ x, y }: NamePlace): Position {
  return { x, y: y - 4 };
}

function boxOf({ x, y, anchor }: NamePlace, name: string): Box {
  const width = LETTER_WIDTH * name.length;
  const left = anchor === 'start' ? x : x - width;
  return { left, right: left + width, top: y - LETTER_HEIGHT, bottom: y };
}

function isInside(inner: Box, outer: Box): boolean {
  const { left, right, top, bottom } = outer;
  return inner.left >= left && inner.right <= right && inner.top >= top && inner.bottom <= bottom;
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** Whether a part of the line lies in the box: where it enters through the sides left and right and those above and below (Liang and Barsky's clipping). */
function crosses([from, to]: Line, { left, right, top, bottom }: Box): boolean {
  let [enters, leaves] = [0, 1];
  for (const [start, end, low, high] of [
    [from.x, to.x, left, right],
    [from.y, to.y, top, bottom],
  ]) {
    const step = end - start;
    if (step === 0 && (start < low || start > high)) return false;
    if (step === 0) continue;
    const [first, last] = [(low - start) / step, (high - start) / step];
    enters = Math.max(enters, Math.min(first, last));
    leaves = Math.min(leaves, Math.max(first, last));
  }
  return enters <= leaves;
}

/** Round values around all of `values`, with room where they are one. */
function axisAround(values: readonly number[]): ChartAxis {
  const [low, high] = values.length === 0 ? [0, 1] : [Math.min(...values), Math.max(...values)];
  const span = high - low || Math.abs(high) / 2 || 1;
  return axis(low - span / 10, high + span / 10, { count: TICKS });
}

function styleText(): string {
  const colors = (scheme: 0 | 1) =>
    COLORS.map((pair, i) => `path.c${i} { stroke: ${pair[scheme]} } circle.c${i} { fill: ${pair[scheme]} }`).join(' ');
  return figureStyle(colors(0), colors(1));
}
