/**
 * KeptStrip: a picture of what was kept: a column for each token, a row for each layer, the colour the share of inputs that were not zero.
 *
 * One pixel an element, scaled up by the browser, so that drawing costs nothing while tokens come. The scale is fixed, 0 to 100 %, so that two strips
 * can be compared by eye.
 */

import { h, onThemeChange, themeColor } from '../shared/dom.ts';
import { percent } from '../shared/numbers.ts';

const MIN_COLUMNS = 24;
const ROW_PIXELS = 7;
const MAX_HEIGHT = 168;

export class KeptStrip {
  readonly element: HTMLElement;
  /** Called with the token under the pointer; null when it leaves. */
  onPoint: (token: number | null) => void = () => {};
  readonly #canvas = h('canvas', { role: 'img', 'aria-label': 'Kept inputs: no tokens yet' });
  readonly #low = h('span', {}, 'first layer at the top');
  readonly #columns: (readonly number[] | null)[] = [];
  readonly #scale = h('i');
  #layers = 1;

  constructor() {
    const legend = h('span', { class: 'scale' }, '0', this.#scale, '100 % kept');
    this.element = h(
      'figure',
      { class: 'figure' },
      h('h3', {}, 'Kept inputs by layer and token'),
      h('div', { class: 'strip' }, this.#canvas),
      h('figcaption', { class: 'strip-axis' }, this.#low, legend),
    );
    this.#canvas.addEventListener('pointermove', (event) => this.onPoint(this.#tokenAt(event)));
    this.#canvas.addEventListener('pointerleave', () => this.onPoint(null));
    onThemeChange(() => this.#draw());
  }

  reset(layers: number): void {
    this.#layers = layers;
    this.#columns.length = 0;
    this.#draw();
  }

  /** The next token; null where it is not known. */
  push(kept: readonly number[] | null): void {
    this.#columns.push(kept);
    this.#draw();
  }

  #tokenAt(event: PointerEvent): number | null {
    const { left, width } = this.#canvas.getBoundingClientRect();
    const token = Math.floor(((event.clientX - left) / width) * this.#canvas.width);
    return token >= 0 && token < this.#columns.length ? token : null;
  }

  #draw(): void {
    const canvas = this.#canvas;
    canvas.width = Math.max(MIN_COLUMNS, this.#columns.length);
    canvas.height = this.#layers;
    canvas.style.height = `${Math.max(28, Math.min(MAX_HEIGHT, this.#layers * ROW_PIXELS))}px`;
    const context = canvas.getContext('2d')!;
    const [none, all] = [themeColor('--sunken'), themeColor('--c0')];
    this.#scale.style.background = `linear-gradient(to right, ${none}, ${all})`;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = all;
    this.#columns.forEach((kept, token) => {
      kept?.forEach((share, layer) => {
        context.globalAlpha = Math.min(1, Math.max(0, share));
        context.fillRect(token, layer, 1, 1);
      });
    });
    context.globalAlpha = 1;
    canvas.setAttribute('aria-label', this.#describe());
  }

  /** The picture for those who do not see it. */
  #describe(): string {
    const known = this.#columns.filter((kept) => kept !== null);
    if (known.length === 0) return 'Kept inputs: not known for any token yet';
    const mean = (layer: number) => known.reduce((sum, kept) => sum + kept[layer], 0) / known.length;
    const layers = Array.from({ length: this.#layers }, (_, layer) => mean(layer));
    const whole = layers.reduce((sum, share) => sum + share, 0) / layers.length;
    const [low, high] = [Math.min(...layers), Math.max(...layers)];
    const range = `layer ${layers.indexOf(low)} the fewest, ${percent(low)}, layer ${layers.indexOf(high)} the most, ${percent(high)}`;
    return `Kept inputs over ${known.length} tokens: ${percent(whole)} on average; ${range}`;
  }
}
