/** LineChart: curves in an SVG whose colours come from the style sheet, so that light and dark need no redrawing. */

import { roundStep } from '../../src/util/round-step.ts';
import { h } from '../shared/dom.ts';

export interface CurveChart {
  readonly x: {
    readonly low: number;
    readonly high: number;
    readonly ticks: readonly number[];
    readonly text: (value: number) => string;
    readonly title: string;
  };
  readonly curves: readonly {
    readonly kind: 'dense' | 'sparse';
    readonly points: readonly (readonly [number, number])[];
  }[];
  readonly mark: { readonly x: number; readonly y: number };
  /** A vertical line. */
  readonly optimum?: number;
}

const SVG = 'http://www.w3.org/2000/svg';
const VIEW = { width: 480, height: 300, left: 58, right: 14, top: 12, bottom: 40 };

export class LineChart {
  readonly element: HTMLElement;
  readonly #svg = document.createElementNS(SVG, 'svg');

  constructor(title: string, caption: string) {
    this.#svg.setAttribute('viewBox', `0 0 ${VIEW.width} ${VIEW.height}`);
    this.#svg.setAttribute('role', 'img');
    this.#svg.setAttribute('aria-label', `${title}. ${caption}`);
    this.element = h(
      'figure',
      { class: 'card curve' },
      h('figcaption', {}, h('h2', {}, title), h('p', {}, caption)),
      this.#svg,
    );
  }

  draw({ x, curves, mark, optimum }: CurveChart): void {
    this.#svg.replaceChildren();
    const values = curves.flatMap(({ points }) => points.map(([, y]) => y));
    const spread = Math.max(...values) - Math.min(...values) || 1;
    const [low, high] = [Math.min(...values) - 0.05 * spread, Math.max(...values) + 0.05 * spread];
    const width = VIEW.width - VIEW.left - VIEW.right;
    const height = VIEW.height - VIEW.top - VIEW.bottom;
    const xOf = (value: number) => VIEW.left + (width * (value - x.low)) / (x.high - x.low);
    const yOf = (value: number) => VIEW.top + (height * (high - value)) / (high - low);
    const ticks = roundTicks(low, high, 5);
    const decimals = Math.max(0, Math.ceil(-Math.log10(ticks[1] - ticks[0]) - 1e-9));
    for (const tick of ticks) {
      this.#add('line', { class: 'grid', x1: VIEW.left, x2: VIEW.left + width, y1: yOf(tick), y2: yOf(tick) });
      this.#add('text', { x: VIEW.left - 7, y: yOf(tick) + 4, 'text-anchor': 'end' }, tick.toFixed(decimals));
    }
    for (const tick of x.ticks) {
      this.#add('text', { x: xOf(tick), y: VIEW.height - 21, 'text-anchor': 'middle' }, x.text(tick));
    }
    this.#add('text', { x: VIEW.left + width / 2, y: VIEW.height - 4, 'text-anchor': 'middle' }, x.title);
    if (optimum !== undefined) {
      this.#add('line', { class: 'optimum', x1: xOf(optimum), x2: xOf(optimum), y1: VIEW.top, y2: VIEW.top + height });
    }
    for (const { kind, points } of curves) {
      const d = points.map(([px, py], i) => `${i ? 'L' : 'M'}${xOf(px).toFixed(1)} ${yOf(py).toFixed(1)}`).join('');
      this.#add('path', { class: kind, d });
    }
    this.#add('circle', { cx: xOf(mark.x), cy: yOf(mark.y), r: 6 });
  }

  #add(name: string, attributes: Readonly<Record<string, string | number>>, text?: string): void {
    const child = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, String(value));
    if (text !== undefined) child.textContent = text;
    this.#svg.append(child);
  }
}

/** About `wanted` round numbers from `low` to `high`. */
export function roundTicks(low: number, high: number, wanted: number): number[] {
  const step = roundStep(high - low, wanted);
  const ticks: number[] = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) ticks.push(value);
  return ticks;
}
