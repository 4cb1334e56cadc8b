/** The form of settings: how a text is written, and how sparse. */

import type { TextOptions } from '../../src/load/text-model.ts';
import { type ModelConfig, POINTS, type Point } from '../../src/model/config.ts';
import { configuredSparsity, modelSparsity } from '../../src/model/flops.ts';
import type { SparsityOverride } from '../../src/model/sparsity-override.ts';
import { byId, h } from '../shared/dom.ts';
import { percent } from '../shared/numbers.ts';

export type Mode = 'chat' | 'completion';

const NAMES: Record<Point, string> = {
  qkv: 'queries, keys, values',
  o: 'attention output',
  gateUp: 'gate and up',
  down: 'down',
};

/** Nothing is skipped at any point. */
export const DENSE: SparsityOverride = { qkv: 0, o: 0, gateUp: 0, down: 0 };

export class Settings {
  onMode: (mode: Mode) => void = () => {};
  readonly #form = byId<HTMLFormElement>('settings');
  readonly #whole = byId<HTMLInputElement>('sparsity');
  readonly #value = byId<HTMLOutputElement>('sparsity-value');
  readonly #note = byId('sparsity-note');
  readonly #compare = byId<HTMLInputElement>('compare');
  readonly #points = new Map<Point, { input: HTMLInputElement; output: HTMLOutputElement }>();
  #trained: Record<Point, number> = { qkv: 0, o: 0, gateUp: 0, down: 0 };
  #trainedWhole = 0;
  #isTrained = true;
  #canChange = true;

  constructor() {
    for (const point of POINTS) {
      const input = h('input', { type: 'range', id: `sparsity-${point}`, min: 0, max: 95, step: 1, value: 0 });
      const output = h('output', { class: 'number dim', for: input.id }, '0 %');
      byId('points').append(h('label', { class: 'point', for: input.id }, NAMES[point], output, input));
      input.addEventListener('input', () => this.#changed());
      this.#points.set(point, { input, output });
    }
    this.#whole.addEventListener('input', () => {
      for (const { input } of this.#points.values()) input.value = this.#whole.value;
      this.#changed();
    });
    byId('as-trained').addEventListener('click', () => this.#reset());
    for (const radio of this.#form.querySelectorAll<HTMLInputElement>('input[name="mode"]')) {
      radio.addEventListener('change', () => this.onMode(this.mode));
    }
    this.#form.addEventListener('submit', (event) => event.preventDefault());
  }

  get mode(): Mode {
    return new FormData(this.#form).get('mode') === 'chat' ? 'chat' : 'completion';
  }

  set mode(mode: Mode) {
    this.#form.querySelector<HTMLInputElement>(`input[value="${mode}"]`)!.checked = true;
    this.onMode(mode);
  }

  /** Whether dense is to run beside the sparse model. */
  get compare(): boolean {
    return this.#compare.checked && !this.#compare.disabled;
  }

  /** For people: how sparse the model runs. */
  get sparsityName(): string {
    return this.#isTrained ? `as trained (${percent(this.#trainedWhole)})` : this.#value.value;
  }

  /** As the model is set to what it was trained with, or to what can be chosen of it. */
  adopt(config: ModelConfig): void {
    const table = configuredSparsity(config);
    const mean = (shares: readonly number[]) => shares.reduce((sum, share) => sum + share, 0) / shares.length;
    this.#trained = { qkv: mean(table.qkv), o: mean(table.o), gateUp: mean(table.gateUp), down: mean(table.down) };
    this.#trainedWhole = modelSparsity(config, table);
    this.#canChange = config.sparsifier === 'topk' || config.sparsifier === 'block';
    const inputs = [this.#whole, ...[...this.#points.values()].map(({ input }) => input), this.#compare];
    for (const input of inputs) input.disabled = !this.#canChange;
    this.#note.textContent = this.#canChange
      ? 'Share of the inputs of each projection that is set to zero, the smallest first.'
      : `This model has the zeros that its ${config.sparsifier} makes: no share can be chosen.`;
    this.#reset();
  }

  /** Left out as trained. */
  get sparsity(): SparsityOverride | undefined {
    if (this.#isTrained || !this.#canChange) return undefined;
    const shares = POINTS.map((point) => Number(this.#points.get(point)!.input.value) / 100);
    return Object.fromEntries(POINTS.map((point, i) => [point, shares[i]])) as Record<Point, number>;
  }

  /** Everything but sparsity. A number that is not one is left out. */
  get options(): TextOptions {
    const number = (id: string) => {
      const { value, valueAsNumber } = byId<HTMLInputElement>(id);
      return value === '' || Number.isNaN(valueAsNumber) ? undefined : valueAsNumber;
    };
    const [maxTokens, temperature, topP, seed] = ['max-tokens', 'temperature', 'top-p', 'seed'].map(number);
    return {
      ...(maxTokens !== undefined && { maxTokens }),
      ...(temperature !== undefined && { temperature }),
      ...(topP !== undefined && { topP }),
      ...(seed !== undefined && { seed }),
    };
  }

  #reset(): void {
    for (const [point, { input }] of this.#points) input.value = String(Math.round(100 * this.#trained[point]));
    this.#whole.value = String(Math.round(100 * this.#trainedWhole));
    this.#changed();
    this.#isTrained = true;
    this.#say('as trained');
  }

  #changed(): void {
    this.#isTrained = false;
    const shares = new Set<string>();
    for (const { input, output } of this.#points.values()) {
      output.value = `${input.value} %`;
      shares.add(input.value);
    }
    this.#say(shares.size > 1 ? 'by point' : `${[...shares][0]} %`);
  }

  #say(value: string): void {
    this.#value.value = value;
    this.#whole.setAttribute('aria-valuetext', value);
  }
}
