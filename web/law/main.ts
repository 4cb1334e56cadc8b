/** The scaling law with sliders: what size and sparsity cost and give, by the paper's constants or by those of runs that are fitted here. */

import { fitLaw } from '../../src/scaling/fit-law.ts';
import { lawForm, PRINTED_CONSTANTS, PRINTED_SIZE_UNIT } from '../../src/scaling/law-form.ts';
import { type LawRun, readLawRuns, SIZE_UNIT } from '../../src/scaling/law-runs.ts';
import { messageOf } from '../../src/util/errors.ts';
import { byId, h } from '../shared/dom.ts';
import { setUpHeader } from '../shared/header.ts';
import { percent } from '../shared/numbers.ts';
import { LawView, type ShownLaw } from './law-view.ts';

/** Sizes that the printed constants are shown at: those of the paper, and ten times beyond. */
const PRINTED_SIZES = [1e8, 7e10] as const;
const PRINTED: ShownLaw = {
  ...{ name: 'as printed in the paper, full precision', form: lawForm('exponential'), constants: PRINTED_CONSTANTS },
  ...{ sizeUnit: PRINTED_SIZE_UNIT, sizes: PRINTED_SIZES, lossUnit: 'bits' },
};

setUpHeader();
const view = new LawView([PRINTED]);

/** A law for each format of the table. */
async function fitTable(file: File): Promise<void> {
  const status = byId('fit-status');
  status.replaceChildren(h('p', { class: 'message' }, `Fitting ${file.name} …`));
  // The words first: a fit keeps this thread busy.
  await new Promise((resolve) => setTimeout(resolve, 50));
  try {
    const runs = readLawRuns(await file.text(), file.name);
    const formats = [...new Set(runs.map(({ format }) => format))];
    const laws = formats.map((format) => {
      const ofFormat = runs.filter((run) => run.format === format);
      return fittedLaw(`${file.name}, ${format}`, ofFormat);
    });
    status.replaceChildren(...laws.map(lawInWords));
    view.add(laws);
  } catch (error) {
    status.replaceChildren(h('p', { class: 'message error' }, messageOf(error)));
  }
}

function fittedLaw(title: string, runs: readonly LawRun[]): ShownLaw {
  const { form, constants, rmsLogError } = fitLaw(lawForm('exponential'), runs);
  const sizes = runs.map(({ size }) => size * SIZE_UNIT);
  return {
    name: `${title}: ${runs.length} runs, off by ${percent(rmsLogError, 2)}`,
    form,
    constants,
    sizeUnit: SIZE_UNIT,
    sizes: [Math.min(...sizes), Math.max(...sizes)],
    lossUnit: '',
  };
}

function lawInWords({ name, constants }: ShownLaw): HTMLElement {
  const words = Object.entries(constants).map(([constant, value]) => `${constant} ${Number(value.toPrecision(4))}`);
  return h('p', { class: 'message number' }, `${name}. ${words.join(', ')}; N in millions.`);
}

byId<HTMLInputElement>('runs').addEventListener('change', (event) => {
  const input = event.target as HTMLInputElement;
  const file = input.files?.[0];
  input.value = '';
  if (file !== undefined) void fitTable(file);
});
byId('controls').addEventListener('submit', (event) => event.preventDefault());
