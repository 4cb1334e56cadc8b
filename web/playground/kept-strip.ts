/**
 * KeptStrip: a picture of what was kept: a column for each token, a row for each layer, the colour the share of inputs that were not zero.
 *
 * One pixel an element, scaled up by the browser. While tokens come only their own columns are drawn, onto a canvas with room for more that nobody sees;
 * the visible one is as wide as there are tokens and a copy. The scale is fixed, 0 to 100 %, so that two strips can be compared by eye.
 */

import { h, onThemeChange, themeColor } from '../shared/dom.ts';
import { percent } from '../shared/numbers.ts';
import { oncePerFrame } from '../shared/once-per-frame.ts';

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
  readonly #drawSoon = oncePerFrame(() => this.draw());
  /** Columns that are drawn already. */
  readonly #drawn = h('canvas');
  #drawnColumns = 0;
  /** Over the tokens that are known: how many, and what each layer kept. */
  #known = 0;
  #sums: number[] = [];
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
    onThemeChange(() => {
      this.#startPicture();
      this.draw();
    });
  }

  reset(layers: number): void {
    this.#layers = layers;
    this.#columns.length = 0;
    this.#known = 0;
    this.#sums = Array<number>(layers).fill(0);
    this.#startPicture();
    this.draw();
  }

  /** The next token; null where it is not known. Drawn with the next frame. */
  push(kept: readonly number[] | null): void {
    this.#columns.push(kept);
    if (kept !== null) {
      this.#known++;
      kept.forEach((share, layer) => {
        this.#sums[layer] += share;
      });
    }
    this.#drawSoon();
  }

  /** All that was pushed, at once. */
  draw(): void {
    this.#drawColumns();
    const canvas = this.#canvas;
    canvas.width = Math.max(MIN_COLUMNS, this.#columns.length);
    canvas.height = this.#layers;
    canvas.style.height = `${Math.max(28, Math.min(MAX_HEIGHT, this.#layers * ROW_PIXELS))}px`;
    canvas.getContext('2d')!.drawImage(this.#drawn, 0, 0);
    canvas.setAttribute('aria-label', this.#describe());
  }

  #tokenAt(event: PointerEvent): number | null {
    const { left, width } = this.#canvas.getBoundingClientRect();
    const token = Math.floor(((event.clientX - left) / width) * this.#canvas.width);
    return token >= 0 && token < this.#columns.length ? token : null;
  }

  /** Nothing is drawn: a canvas that gets a width is empty. */
  #startPicture(width = MIN_COLUMNS): void {
    this.#drawn.width = width;
    this.#drawn.height = this.#layers;
    this.#drawnColumns = 0;
    this.#scale.style.background = `linear-gradient(to right, ${themeColor('--sunken')}, ${themeColor('--c0')})`;
  }

  #drawColumns(): void {
    const count = this.#columns.length;
    if (count > this.#drawn.width) this.#startPicture(2 * count);
    const context = this.#drawn.getContext('2d')!;
    context.fillStyle = themeColor('--c0');
    for (; this.#drawnColumns < count; this.#drawnColumns++) {
      this.#columns[this.#drawnColumns]?.forEach((share, layer) => {
        context.globalAlpha = Math.min(1, Math.max(0, share));
        context.fillRect(this.#drawnColumns, layer, 1, 1);
      });
    }
  }

  /** The picture for those who do not see it. */
  #describe(): string {
    const known = this.#known;
    if (known === 0) return 'Kept inputs: not known for any token yet';
    const layers = this.#sums.map((sum) => sum / known);
    const whole = layers.reduce((sum, share) => sum + share, 0) / layers.length;
    const [low, high] = [Math.min(...layers), Math.max(...layers)];
    const range = `layer ${layers.indexOf(low)} the fewest, ${percent(low)}, layer ${layers.indexOf(high)} the most, ${percent(high)}`;
    return `Kept inputs over ${known} tokens: ${percent(whole)} on average; ${range}`;
  }
}
