/**
 * The plan of a sweep: a module that exports `plan`, checked, and the runs that it comes to.
 *
 *     export const plan = {
 *       base: { preset, model, train },                      // what all runs share, as in a recipe
 *       sizes: { small: { dim: 64, ... }, large: { ... } },  // fields of the model
 *       formats: { float: {}, ternary: { model, train } },   // what a format changes
 *       sparsities: [0, 0.5],
 *       seeds: [0],
 *       repeats: [{ size: 'small', format: 'float', sparsity: 0.5, seeds: [1, 2] }],
 *       rates: [1e-3, 2e-3],                                 // tried on the dense model of each size and format
 *     };
 *
 * A run is named by what it is, so a plan that grows adds runs and leaves those that exist alone. With `rates` the learning rate of a size and
 * format is that of the dense run, first seed, with the lowest loss; all its sparsities take it. Where the best stands at an end of the rates,
 * those beyond are tried too (sweep-rates.ts).
 */

import { existsSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ModelConfig } from '../../model/config.ts';
import { blockParameters } from '../../model/flops.ts';
import { preset } from '../../model/presets.ts';
import { type ModelConfigInput, resolveConfig } from '../../model/resolve-config.ts';
import type { Recipe } from '../../train/recipes.ts';
import { resolveTrainConfig, type TrainConfig } from '../../train/train-config.ts';
import { FormatError, messageOf, UsageError } from '../../util/errors.ts';
import { isObject } from '../../util/is-object.ts';
import { hash32 } from '../../util/prng.ts';
import { Problems, shown } from '../../util/problems.ts';
import { fitRamps } from '../training/fit-ramps.ts';
import { refuseReplay, refuseWithoutModel } from '../training/refuse-unfit-recipe.ts';

export interface SweepPlan {
  readonly base: Recipe;
  readonly sizes: Readonly<Record<string, Partial<ModelConfigInput>>>;
  readonly formats: Readonly<Record<string, Recipe>>;
  readonly sparsities: readonly number[];
  readonly seeds: readonly number[];
  readonly repeats: readonly Repeat[];
  /** null: the rate of base and format. */
  readonly rates: readonly number[] | null;
}

interface Repeat {
  readonly size: string;
  readonly format: string;
  readonly sparsity: number;
  readonly seeds: readonly number[];
}

/** One cell of the grid: what is trained but for its learning rate. */
export interface SweepCell {
  readonly size: string;
  readonly format: string;
  readonly sparsity: number;
  readonly seed: number;
}

export interface SweepRun extends SweepCell {
  readonly name: string;
  readonly recipe: Recipe;
  readonly model: ModelConfig;
  readonly train: TrainConfig;
  /** N of the law. */
  readonly parameters: number;
  /** Of everything that decides the result but the text: a row of other settings is another run. */
  readonly settings: string;
}

const FIELDS = ['base', 'sizes', 'formats', 'sparsities', 'seeds', 'repeats', 'rates'];
const NAME = /^[A-Za-z0-9][A-Za-z0-9.]{0,30}$/;
const DEFAULT_PRESET = 'quickstart';

/** Throws FormatError where the module cannot be loaded, UsageError with all that is wrong with the plan. */
export async function loadSweepPlan(path: string): Promise<SweepPlan> {
  if (!existsSync(path)) throw new UsageError('plan', `${path} does not exist. Name a module that exports a plan.`);
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
  } catch (error) {
    const advice = extname(path) === '.ts' ? ' Types are stripped from Node 22.18 on: use .mjs with older ones.' : '';
    throw new FormatError('plan', `${path} cannot be loaded: ${messageOf(error)}.${advice}`, path, { cause: error });
  }
  if (!isObject(module.plan)) throw new UsageError('plan', `${path} must export \`plan\`, got ${shown(module.plan)}.`);
  return checkSweepPlan(module.plan, path);
}

/** Fills in what may be left out (formats: float; seeds: 0). Throws UsageError with all that is wrong. */
export function checkSweepPlan(plan: Record<string, unknown>, path: string): SweepPlan {
  const problems = new Problems(path);
  for (const field of Object.keys(plan)) if (!FIELDS.includes(field)) problems.addUnknown(field, FIELDS);
  const { base = {}, sizes, formats = { float: {} }, sparsities, seeds = [0], repeats = [], rates = null } = plan;
  if (!isObject(base)) problems.add('base', `must be { preset, model, train }, got ${shown(base)}.`);
  names('sizes', sizes, problems);
  names('formats', formats, problems);
  numbers('sparsities', sparsities, 'shares in [0, 1)', (share) => share >= 0 && share < 1, problems);
  numbers('seeds', seeds, 'whole numbers from 0', isSeed, problems);
  if (rates !== null) numbers('rates', rates, 'numbers above 0', (rate) => rate > 0, problems);
  if (rates !== null && Array.isArray(sparsities) && !sparsities.includes(0)) {
    problems.add('rates', 'are tried on dense models: expected 0 among the sparsities.');
  }
  if (!Array.isArray(repeats)) problems.add('repeats', `must be a list, got ${shown(repeats)}.`);
  problems.throwAny();
  const checked = { base, sizes, formats, sparsities, seeds, repeats, rates } as SweepPlan;
  checked.repeats.forEach((repeat, i) => {
    checkRepeat(repeat, `repeats[${i}]`, checked, problems);
  });
  problems.throwAny();
  return checked;
}

function checkRepeat(repeat: Repeat, field: string, plan: SweepPlan, problems: Problems): void {
  problems.choice(`${field}.size`, repeat?.size, Object.keys(plan.sizes));
  problems.choice(`${field}.format`, repeat?.format, Object.keys(plan.formats));
  if (!plan.sparsities.includes(repeat?.sparsity)) {
    problems.add(`${field}.sparsity`, `must be one of ${plan.sparsities.join(', ')}, got ${shown(repeat?.sparsity)}.`);
  }
  numbers(`${field}.seeds`, repeat?.seeds, 'whole numbers from 0', isSeed, problems);
}

function names(field: string, value: unknown, problems: Problems): void {
  const keys = isObject(value) ? Object.keys(value) : [];
  if (keys.length === 0) problems.add(field, `must be a table of names with at least one, got ${shown(value)}.`);
  const wrong = keys.find((name) => !NAME.test(name) || !isObject((value as Record<string, unknown>)[name]));
  if (wrong !== undefined) {
    problems.add(`${field}.${wrong}`, 'must be an object under a name of letters, digits and dots.');
  }
}

function numbers(
  field: string,
  value: unknown,
  wanted: string,
  fits: (value: number) => boolean,
  problems: Problems,
): void {
  const isList = Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number' && fits(one));
  if (!isList) problems.add(field, `must be a list of ${wanted}, got ${shown(value)}.`);
  else if (new Set(value).size < value.length) problems.add(field, 'must name each value once.');
}

const isSeed = (value: number) => Number.isSafeInteger(value) && value >= 0;

/** All cells of the grid, sizes from the first to the last, then the repeats; none twice. */
export function cellsOf({ sizes, formats, sparsities, seeds, repeats }: SweepPlan): SweepCell[] {
  const grid = Object.keys(sizes).flatMap((size) =>
    Object.keys(formats).flatMap((format) =>
      sparsities.flatMap((sparsity) => seeds.map((seed) => ({ size, format, sparsity, seed }))),
    ),
  );
  const more = repeats.flatMap(({ seeds: own, ...cell }) => own.map((seed) => ({ ...cell, seed })));
  const byName = new Map([...grid, ...more].map((cell) => [nameOf(cell, null), cell]));
  return [...byName.values()];
}

/** The dense cells, first seed, that rates are tried on: one for each size and format. */
export function tuningCells(plan: SweepPlan): SweepCell[] {
  const [seed] = plan.seeds;
  return cellsOf(plan).filter((cell) => cell.sparsity === 0 && cell.seed === seed);
}

/** The run of a cell at a learning rate; null: that of the plan. Throws UsageError where the settings do not fit together. */
export function runOf(plan: SweepPlan, cell: SweepCell, rate: number | null): SweepRun {
  const format = plan.formats[cell.format];
  const { base } = plan;
  const shape = preset(format.preset ?? base.preset ?? DEFAULT_PRESET);
  // Zeros are the selection's alone: an L1 term would add others that S does not count.
  const method = { hiddenL1: 0, ...base.model, ...format.model };
  const modelInput = { ...shape, ...method, ...plan.sizes[cell.size], sparsity: cell.sparsity } as ModelConfigInput;
  const trainInput = { ...base.train, ...format.train, ...(rate !== null && { lr: rate }), seed: cell.seed };
  const name = nameOf(cell, rate);
  try {
    const model = resolveConfig(modelInput);
    const train = fitRamps(resolveTrainConfig(trainInput, model.seqLen), {});
    refuseReplay(train, 'plan');
    refuseWithoutModel(train, 'plan');
    const settings = hash32(...new TextEncoder().encode(JSON.stringify([model, hashed(train)])));
    return {
      ...{ ...cell, name, model, train },
      recipe: { model: modelInput, train: trainInput },
      parameters: blockParameters(model),
      settings: settings.toString(16).padStart(8, '0'),
    };
  } catch (error) {
    throw new UsageError('plan', `run ${name}: ${messageOf(error)}`, { cause: error });
  }
}

/** Fields that tables of before do not know are in the hash only where they change something: such tables go on. */
function hashed({ skipTokens, logitPruning, ...known }: TrainConfig): object {
  return { ...known, ...(skipTokens !== 0 && { skipTokens }), ...(logitPruning !== 0 && { logitPruning }) };
}

function nameOf({ size, format, sparsity, seed }: SweepCell, rate: number | null): string {
  const percent = Number((100 * sparsity).toPrecision(6));
  return [size, format, `s${percent}`, `seed${seed}`, ...(rate === null ? [] : [`lr${rate}`])].join('-');
}
