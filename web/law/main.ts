/** The scaling law with sliders: what size and sparsity cost and give, by the paper's constants or by those of runs that are fitted here. */

import { fitLaw } from '../../src/scaling/fit-law.ts';
import {
  type LawConstants,
  type LawForm,
  lawForm,
  lawLoss,
  PRINTED_CONSTANTS,
  PRINTED_SIZE_UNIT,
} from '../../src/scaling/law-form.ts';
import { readLawRuns, SIZE_UNIT } from '../../src/scaling/law-runs.ts';
import { optimalSparsity, parametersSaved } from '../../src/scaling/optimal-sparsity.ts';
import { messageOf } from '../../src/util/errors.ts';
import { byId, h } from '../shared/dom.ts';
import { setUpHeader } from '../shared/header.ts';
import { count, percent } from '../shared/numbers.ts';
import { LineChart, roundTicks } from './line-chart.ts';

interface PageLaw {
  readonly name: string;
  readonly form: LawForm;
  readonly constants: LawConstants;
  readonly sizeUnit: number;
  /** Parameters of the smallest and the largest model that it is about. */
  readonly sizes: readonly [number, number];
  readonly lossUnit: string;
  /** Of the training, in units; for forms that ask for them. */
  readonly tokens?: number | undefined;
}

/** Sizes that the printed constants are shown at: those of the paper, and ten times beyond. */
const PRINTED_SIZES = [1e8, 7e10] as const;
const MOST_SPARSITY = 0.9;
const STEPS = 90;

const laws: PageLaw[] = [
  {
    ...{ name: 'as printed in the paper, full precision', form: lawForm('exponential'), constants: PRINTED_CONSTANTS },
    ...{ sizeUnit: PRINTED_SIZE_UNIT, sizes: PRINTED_SIZES, lossUnit: 'bits' },
  },
];

setUpHeader();
const choice = byId<HTMLSelectElement>('law');
const size = byId<HTMLInputElement>('size');
const sparsity = byId<HTMLInputElement>('sparsity');
const charts = {
  sparsity: new LineChart('More zeros', 'Loss over sparsity at this size. The dot is where the sliders stand.'),
  size: new LineChart('More parameters', 'Loss over size at this sparsity (solid) and dense (dashed).'),
  price: new LineChart(
    'The same price',
    'Loss over sparsity with as many activated parameters as now: more zeros, a larger model. The dashed line is the optimum.',
  ),
};
byId('curves').append(...Object.values(charts).map(({ element }) => element));

function lossAt({ form, constants, sizeUnit, tokens }: PageLaw, parameters: number, share: number): number {
  return lawLoss(form, constants, { size: parameters / sizeUnit, sparsity: share, tokens });
}

/** The slider runs through the logarithm, a decade beyond the runs on either side. */
function decades({ sizes }: PageLaw): [low: number, high: number] {
  return [Math.log10(sizes[0]) - 1, Math.log10(sizes[1]) + 1];
}

function update(): void {
  const law = laws[Number(choice.value)] ?? laws[0];
  const [low, high] = decades(law);
  const parameters = 10 ** (low + (Number(size.value) / 1000) * (high - low));
  const share = Number(sparsity.value) / 1000;
  byId('size-value').textContent = count(parameters);
  byId('sparsity-value').textContent = percent(share, 1);
  size.setAttribute('aria-valuetext', `${count(parameters)} parameters`);
  sparsity.setAttribute('aria-valuetext', `${percent(share, 1)} zeros`);
  const best = optimalSparsity(law.form, law.constants);
  showWords(law, parameters, share, best);
  const isOutside = parameters < law.sizes[0] / 1.001 || parameters > law.sizes[1] * 1.001;
  byId('outside').hidden = !isOutside;
  byId('outside').textContent = isOutside
    ? `Outside of the sizes that the law was fitted to (${law.sizes.map(count).join(' to ')}).`
    : '';
  drawAll(law, parameters, share, best);
}

function showWords(law: PageLaw, parameters: number, share: number, best: number): void {
  const activated = parameters * (1 - share);
  const saved = parametersSaved(law.form, law.constants, share);
  const words: [string, string][] = [
    ['loss', `${lossAt(law, parameters, share).toFixed(4)} ${law.lossUnit}`],
    ['activated parameters N (1 − S)', count(activated)],
    ['loss of a dense model of this size', lossAt(law, parameters, 0).toFixed(4)],
    ['loss of a dense model with as many activated', lossAt(law, activated, 0).toFixed(4)],
    ['as many activated parameters has a dense model of this loss', `${saved.toFixed(2)} times`],
    [
      'best sparsity for this price',
      `${percent(best, 1)}: loss ${lossAt(law, activated / (1 - best), best).toFixed(4)}, N ${count(activated / (1 - best))}`,
    ],
  ];
  byId('words').replaceChildren(...words.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

function drawAll(law: PageLaw, parameters: number, share: number, best: number): void {
  const loss = lossAt(law, parameters, share);
  const activated = parameters * (1 - share);
  const places = (from: number, to: number) =>
    Array.from({ length: STEPS + 1 }, (_, i) => from + ((to - from) * i) / STEPS);
  const shares = places(0, MOST_SPARSITY);
  const axis = {
    low: 0,
    high: MOST_SPARSITY,
    ticks: [0, 0.2, 0.4, 0.6, 0.8],
    text: (x: number) => percent(x),
    title: 'sparsity S',
  };
  charts.sparsity.draw({
    x: axis,
    curves: [{ kind: 'sparse', points: shares.map((x) => [x, lossAt(law, parameters, x)]) }],
    mark: { x: share, y: loss },
  });
  const [low, high] = decades(law);
  const bySize = (at: number) => places(low, high).map((log) => [log, lossAt(law, 10 ** log, at)] as const);
  charts.size.draw({
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
    mark: { x: Math.log10(parameters), y: loss },
  });
  charts.price.draw({
    x: axis,
    curves: [{ kind: 'sparse', points: shares.map((x) => [x, lossAt(law, activated / (1 - x), x)]) }],
    mark: { x: share, y: loss },
    optimum: best,
  });
}

function listLaws(chosen: number): void {
  choice.replaceChildren(...laws.map(({ name }, i) => new Option(name, String(i), i === chosen, i === chosen)));
  update();
}

/** A law for each format of the table. */
async function fitTable(file: File): Promise<void> {
  const status = byId('fit-status');
  status.replaceChildren(h('p', { class: 'message' }, `Fitting ${file.name} …`));
  // The words first: a fit keeps this thread busy.
  await new Promise((resolve) => setTimeout(resolve, 50));
  try {
    const runs = readLawRuns(await file.text(), file.name);
    const formats = [...new Set(runs.map(({ format }) => format))];
    const fitted: HTMLElement[] = [];
    for (const format of formats) {
      const points = runs.filter((run) => run.format === format);
      const { form, constants, rmsLogError } = fitLaw(lawForm('exponential'), points);
      const sizes = points.map((point) => point.size * SIZE_UNIT);
      const name = `${file.name}, ${format}: ${points.length} runs, off by ${percent(rmsLogError, 2)}`;
      laws.push({
        name,
        form,
        constants,
        sizeUnit: SIZE_UNIT,
        sizes: [Math.min(...sizes), Math.max(...sizes)],
        lossUnit: '',
      });
      const words = Object.entries(constants).map(([constant, value]) => `${constant} ${Number(value.toPrecision(4))}`);
      fitted.push(h('p', { class: 'message number' }, `${name}. ${words.join(', ')}; N in millions.`));
    }
    status.replaceChildren(...fitted);
    listLaws(laws.length - 1);
  } catch (error) {
    status.replaceChildren(h('p', { class: 'message error' }, messageOf(error)));
  }
}

byId<HTMLInputElement>('runs').addEventListener('change', (event) => {
  const input = event.target as HTMLInputElement;
  const file = input.files?.[0];
  input.value = '';
  if (file !== undefined) void fitTable(file);
});
// A chosen law keeps the place of the slider, so another law is seen at its own sizes.
for (const input of [choice, size, sparsity]) input.addEventListener('input', update);
byId('controls').addEventListener('submit', (event) => event.preventDefault());
listLaws(0);
