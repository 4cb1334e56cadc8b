/** LawView: sliders for size and sparsity, a choice of laws, and the numbers and curves that follow them; on the elements that a page of the law has. */

import { type LawConstants, type LawForm, lawLoss } from '../../src/scaling/law-form.ts';
import { optimalSparsity, parametersSaved } from '../../src/scaling/optimal-sparsity.ts';
import { byId, h } from '../shared/dom.ts';
import { count, percent } from '../shared/numbers.ts';
import { LineChart, roundTicks } from './line-chart.ts';

export interface ShownLaw {
  readonly name: string;
  readonly form: LawForm;
  readonly constants: LawConstants;
  readonly sizeUnit: number;
  /** Parameters of the smallest and the largest model that it is about. */
  readonly sizes: readonly [number, number];
  /** Of the loss, in words; may be empty. */
  readonly lossUnit: string;
}

/** Where the sliders stand. */
interface Place {
  readonly law: ShownLaw;
  readonly parameters: number;
  readonly share: number;
  /** The sparsity of the lowest loss at this price; undefined where it is beyond what the charts show. */
  readonly best: number | undefined;
}

const MOST_SPARSITY = 0.9;
const STEPS = 90;

export class LawView {
  readonly #laws: ShownLaw[] = [];
  readonly #choice = byId<HTMLSelectElement>('law');
  readonly #size = byId<HTMLInputElement>('size');
  readonly #sparsity = byId<HTMLInputElement>('sparsity');
  readonly #charts = {
    sparsity: new LineChart('More zeros', 'Loss over sparsity at this size. The dot is where the sliders stand.'),
    size: new LineChart('More parameters', 'Loss over size at this sparsity (solid) and dense (dashed).'),
    price: new LineChart(
      'The same price',
      'Loss over sparsity with as many activated parameters as now: more zeros, a larger model. The dashed line is the optimum.',
    ),
  };

  /** The first law is shown. */
  constructor(laws: readonly ShownLaw[]) {
    byId('curves').append(...Object.values(this.#charts).map(({ element }) => element));
    // A chosen law keeps the place of the slider, so another law is seen at its own sizes.
    for (const input of [this.#choice, this.#size, this.#sparsity]) {
      input.addEventListener('input', () => this.#update());
    }
    this.#laws.push(...laws);
    this.#list(0);
  }

  /** Offers further laws and shows the last of them. */
  add(laws: readonly ShownLaw[]): void {
    this.#laws.push(...laws);
    this.#list(this.#laws.length - 1);
  }

  #list(chosen: number): void {
    const options = this.#laws.map(({ name }, i) => new Option(name, String(i), i === chosen, i === chosen));
    this.#choice.replaceChildren(...options);
    this.#update();
  }

  #update(): void {
    const law = this.#laws[Number(this.#choice.value)];
    const [low, high] = decades(law);
    const parameters = 10 ** (low + (Number(this.#size.value) / 1000) * (high - low));
    const share = Number(this.#sparsity.value) / 1000;
    byId('size-value').textContent = count(parameters);
    byId('sparsity-value').textContent = percent(share, 1);
    this.#size.setAttribute('aria-valuetext', `${count(parameters)} parameters`);
    this.#sparsity.setAttribute('aria-valuetext', `${percent(share, 1)} zeros`);
    const best = optimalSparsity(law.form, law.constants);
    const place = { law, parameters, share, best: best <= MOST_SPARSITY ? best : undefined };
    showWords(place);
    showOutside(place);
    this.#drawCharts(place);
  }

  #drawCharts({ law, parameters, share, best }: Place): void {
    const mark = { x: share, y: lossAt(law, parameters, share) };
    const activated = parameters * (1 - share);
    const shares = places(0, MOST_SPARSITY);
    const axis = {
      low: 0,
      high: MOST_SPARSITY,
      ticks: [0, 0.2, 0.4, 0.6, 0.8],
      text: (x: number) => percent(x),
      title: 'sparsity S',
    };
    this.#charts.sparsity.draw({
      x: axis,
      curves: [{ kind: 'sparse', points: shares.map((x) => [x, lossAt(law, parameters, x)]) }],
      mark,
    });
    const [low, high] = decades(law);
    const bySize = (at: number) => places(low, high).map((log) => [log, lossAt(law, 10 ** log, at)] as const);
    this.#charts.size.draw({
      x: {
        low,
        high,
        ticks: roundTicks(Math.ceil(low), Math.floor(high), 4),
        text: (log) => count(10 ** log),
        title: 'parameters N',
      },
      curves: [
        { kind: 'dense', points: bySize(0) },
        { kind: 'sparse', points: bySize(share) },
      ],
      mark: { x: Math.log10(parameters), y: mark.y },
    });
    this.#charts.price.draw({
      x: axis,
      curves: [{ kind: 'sparse', points: shares.map((x) => [x, lossAt(law, activated / (1 - x), x)]) }],
      mark,
      ...(best !== undefined && { optimum: best }),
    });
  }
}

function showWords({ law, parameters, share, best }: Place): void {
  const activated = parameters * (1 - share);
  const saved = parametersSaved(law.form, law.constants, share);
  const ofBest = (at: number) => {
    const size = activated / (1 - at);
    return `${percent(at, 1)}: loss ${lossAt(law, size, at).toFixed(4)}, N ${count(size)}`;
  };
  const words: [string, string][] = [
    ['loss', `${lossAt(law, parameters, share).toFixed(4)} ${law.lossUnit}`],
    ['activated parameters N (1 − S)', count(activated)],
    ['loss of a dense model of this size', lossAt(law, parameters, 0).toFixed(4)],
    ['loss of a dense model with as many activated', lossAt(law, activated, 0).toFixed(4)],
    ['as many activated parameters has a dense model of this loss', `${saved.toFixed(2)} times`],
    ['best sparsity for this price', best === undefined ? `above ${percent(MOST_SPARSITY)}` : ofBest(best)],
  ];
  byId('words').replaceChildren(...words.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

function showOutside({ law: { sizes }, parameters }: Place): void {
  const isOutside = parameters < sizes[0] / 1.001 || parameters > sizes[1] * 1.001;
  byId('outside').hidden = !isOutside;
  byId('outside').textContent = isOutside
    ? `Outside of the sizes that the law was fitted to (${sizes.map(count).join(' to ')}).`
    : '';
}

function lossAt({ form, constants, sizeUnit }: ShownLaw, parameters: number, share: number): number {
  return lawLoss(form, constants, { size: parameters / sizeUnit, sparsity: share });
}

/** The slider of the size runs through the logarithm, a decade beyond the runs on either side. */
function decades({ sizes }: ShownLaw): [low: number, high: number] {
  return [Math.log10(sizes[0]) - 1, Math.log10(sizes[1]) + 1];
}

function places(from: number, to: number): number[] {
  return Array.from({ length: STEPS + 1 }, (_, i) => from + ((to - from) * i) / STEPS);
}
