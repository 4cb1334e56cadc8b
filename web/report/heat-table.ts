/** HeatTable: the insides of a model by layer at one detail record, a row for each layer, in numbers and colours; a slider goes through the run. */

import type { HeatGroup, HeatMap } from '../../src/report/heat-map.ts';
import { h } from '../shared/dom.ts';
import { short } from '../shared/numbers.ts';

/** Of the strongest colour, in percent of the page's heat. */
const FULL = 62;
/** Losing a quarter of the energy is as bad as the colour can say. */
const LOSS_STRENGTH = 4;

type Scale = HeatGroup['scale'];
/** Logarithms of the smallest and the largest size. */
type LogRange = readonly [low: number, high: number];

export class HeatTable {
  readonly #map: HeatMap;
  readonly #table: HTMLElement;
  readonly #groups: readonly HeatGroup[];
  readonly #range: LogRange;

  /** Follows `slider`, whose values are the records of the map. */
  constructor(map: HeatMap, { table, slider, at }: { table: HTMLElement; slider: HTMLInputElement; at: HTMLElement }) {
    this.#map = map;
    this.#table = table;
    this.#groups = map.groups.filter(({ columns }) => columns.length > 0);
    this.#range = sizeRange(map);
    const show = () => {
      const record = Number(slider.value);
      at.textContent = `step ${map.steps[record].toLocaleString('en-US')}`;
      this.#draw(record);
    };
    slider.addEventListener('input', show);
    show();
  }

  #draw(record: number): void {
    const { layers, values } = this.#map;
    const columns = scalesOf(this.#map.groups).length;
    const rows = Array.from({ length: layers }, (_, layer) =>
      this.#row(layer, values[record].slice(layer * columns, (layer + 1) * columns)),
    );
    this.#table.replaceChildren(this.#head(), h('tbody', {}, ...rows));
  }

  #head(): HTMLElement {
    const titles = this.#groups.flatMap(({ title, columns }) => [
      gap(),
      h('th', { class: 'group', colspan: columns.length, scope: 'colgroup' }, title),
    ]);
    const names = this.#groups.flatMap(({ columns }) => [
      gap(),
      ...columns.map((column) => h('th', { scope: 'col' }, column)),
    ]);
    return h('thead', {}, h('tr', {}, h('td'), ...titles), h('tr', {}, h('th', {}, 'layer'), ...names));
  }

  #row(layer: number, values: readonly (number | null)[]): HTMLElement {
    let next = 0;
    const cells = this.#groups.flatMap(({ columns, scale }) => [
      gap(),
      ...columns.map(() => this.#cell(values[next++], scale)),
    ]);
    return h('tr', {}, h('th', { scope: 'row' }, String(layer)), ...cells);
  }

  #cell(value: number | null, scale: Scale): HTMLElement {
    if (value === null) return h('td');
    const text = scale === 'size' ? short(Number(value.toPrecision(2))) : (100 * value).toFixed(1);
    const cell = h('td', {}, text);
    const strength = Math.min(1, Math.max(0, this.#strength(value, scale)));
    cell.style.backgroundColor = `color-mix(in srgb, var(--heat) ${Math.round(strength * FULL)}%, transparent)`;
    return cell;
  }

  /** From 0 to 1, about. */
  #strength(value: number, scale: Scale): number {
    if (scale === 'share') return value;
    if (scale === 'kept') return (1 - value) * LOSS_STRENGTH;
    const [low, high] = this.#range;
    return value > 0 ? (Math.log(value) - low) / (high - low || 1) : 0;
  }
}

const gap = () => h('td', { class: 'gap' });

/** Of each column. */
function scalesOf(groups: readonly HeatGroup[]): Scale[] {
  return groups.flatMap(({ columns, scale }) => columns.map(() => scale));
}

function sizeRange({ groups, values }: HeatMap): LogRange {
  const scales = scalesOf(groups);
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const record of values) {
    record.forEach((value, i) => {
      if (value === null || !(value > 0) || scales[i % scales.length] !== 'size') return;
      low = Math.min(low, Math.log(value));
      high = Math.max(high, Math.log(value));
    });
  }
  return [low, high];
}
