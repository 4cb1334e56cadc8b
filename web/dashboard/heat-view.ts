/** HeatView: a quantity of each point by layer over time: four pictures, a column for each detail record, a row for each layer. */

import { POINTS, type Point } from '../../src/model/config.ts';
import { type ChartRun, thinDetails } from '../../src/report/charts.ts';
import type { DetailRecord } from '../../src/train/metrics.ts';
import { h, onThemeChange, themeColor } from '../shared/dom.ts';
import { percent } from '../shared/numbers.ts';

export type HeatField = 'sparsity' | 'energyKept';

const NAMES: Record<Point, string> = {
  qkv: 'queries, keys, values (qkv)',
  o: 'attention output (o)',
  gateUp: 'gate and up (gateUp)',
  down: 'down',
};
const ROW_PIXELS = 12;

export class HeatView {
  readonly #root: HTMLElement;
  readonly #at: HTMLElement;
  #details: readonly DetailRecord[] = [];
  #field: HeatField = 'sparsity';

  constructor(root: HTMLElement, at: HTMLElement) {
    this.#root = root;
    this.#at = at;
    onThemeChange(() => this.#draw());
  }

  /** Resolves to whether the run has anything to show. */
  show({ records }: ChartRun, field: HeatField): boolean {
    this.#details = thinDetails(records.details).filter((detail) => detail[field]?.qkv !== undefined);
    this.#field = field;
    this.#draw();
    return this.#details.length > 0;
  }

  #draw(): void {
    this.#root.replaceChildren(...POINTS.map((point) => this.#picture(point)));
  }

  #picture(point: Point): HTMLElement {
    const details = this.#details;
    const columns = details.map((detail) => detail[this.#field][point] ?? []);
    const layers = columns.at(-1)?.length ?? 0;
    const canvas = h('canvas', { width: Math.max(1, columns.length), height: Math.max(1, layers), role: 'img' });
    canvas.style.height = `${Math.max(24, layers * ROW_PIXELS)}px`;
    canvas.setAttribute('aria-label', describe(NAMES[point], columns));
    const context = canvas.getContext('2d')!;
    context.fillStyle = themeColor(this.#field === 'sparsity' ? '--c0' : '--c2');
    columns.forEach((column, x) => {
      column.forEach((value, layer) => {
        context.globalAlpha = Math.min(1, Math.max(0, value ?? 0));
        context.fillRect(x, layer, 1, 1);
      });
    });
    canvas.addEventListener('pointermove', (event) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const x = Math.floor(((event.clientX - left) / width) * columns.length);
      const layer = Math.floor(((event.clientY - top) / height) * layers);
      const value = columns[x]?.[layer];
      if (value === undefined) return;
      this.#at.textContent = `${NAMES[point]}, layer ${layer}, step ${details[x].step.toLocaleString('en-US')}: ${percent(value, 1)}`;
    });
    const [first, last] = [details[0]?.step ?? 0, details.at(-1)?.step ?? 0];
    const now = mean(columns.at(-1) ?? []);
    const axis = h(
      'div',
      { class: 'axis number' },
      h('span', {}, `step ${first}`),
      h('span', {}, `${last}: ${percent(now, 1)}`),
    );
    return h('figure', { class: 'heat' }, h('h3', {}, NAMES[point]), canvas, axis);
  }
}

function describe(name: string, columns: readonly (readonly number[])[]): string {
  const [first, last] = [columns[0] ?? [], columns.at(-1) ?? []];
  if (last.length === 0) return `${name}: no records`;
  return `${name}: ${percent(mean(first), 1)} on average at the first record, ${percent(mean(last), 1)} at the last, over ${last.length} layers`;
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
