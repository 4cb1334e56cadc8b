/**
 * packWeights: weights in any type in a backend's memory without a file, made of f32 parameters or of random numbers.
 *
 * Random ones need only be of realistic size: they are for measuring shapes, whose f32 model need not fit anywhere. A block of rows is drawn and packed, its copies
 * fill the matrix.
 */

import type { Arena } from '../arena.ts';
import { matrixView } from '../tensor/matrix-view.ts';
import { packMatrix } from '../tensor/pack-matrix.ts';
import type { FloatTensor, Tensor } from '../tensor/tensor.ts';
import type { WeightMatrix } from '../tensor/weight-matrix.ts';
import { Prng } from '../util/prng.ts';
import { assembleWeights } from './assemble-weights.ts';
import type { ModelConfig } from './config.ts';
import { type MatrixPlan, matrixOver, type PackOptions, planPacking, type StoredTensor } from './pack-plan.ts';
import { describeUnpacked, sourceOf } from './packed-matrices.ts';
import type { ParameterInfo } from './parameters.ts';
import { expectParameter, type ModelWeights } from './weights.ts';

/** f32 parameters by name as they are multiplied, or the seed of random ones. */
export type WeightSource = ReadonlyMap<string, FloatTensor> | { readonly seed: number };

interface PlannedMatrix {
  readonly plan: MatrixPlan;
  readonly matrix: WeightMatrix;
}

/**
 * The weights of a model, in memory of `arena`. Throws UsageError for options that do not fit the model, ShapeError for a parameter that is
 * missing or of another shape or dtype, UsageError for latent numbers of a ternary model, FormatError for one that is not finite where its type must be.
 */
export function packWeights(
  config: ModelConfig,
  source: WeightSource,
  options: PackOptions,
  arena: Arena,
): ModelWeights {
  const plan = planPacking(config, options);
  const filler = 'seed' in source ? new RandomFiller(source.seed, plan) : new ParameterFiller(config, source);
  const matrices = new Map<string, WeightMatrix>();
  for (const stored of plan) {
    const bytes = arena.tensor('u8', [stored.rows * stored.rowBytes]);
    const planned = stored.matrices.map((plan): PlannedMatrix => {
      const scale = plan.scaleShape && arena.tensor('f32', plan.scaleShape);
      return { plan, matrix: matrixOver(plan, bytes, scale) };
    });
    filler.fill(stored, bytes, planned);
    for (const { plan, matrix } of planned) matrices.set(plan.name, matrix);
  }
  const unpacked = new Map<string, Tensor<'f32'>>();
  for (const info of describeUnpacked(config)) {
    const tensor = arena.tensor('f32', info.shape);
    filler.fillUnpacked(info, tensor);
    unpacked.set(info.name, tensor);
  }
  return assembleWeights(config, matrices, unpacked);
}

interface Filler {
  fill(stored: StoredTensor, bytes: Tensor<'u8'>, planned: readonly PlannedMatrix[]): void;
  fillUnpacked(info: ParameterInfo, tensor: Tensor<'f32'>): void;
}

class ParameterFiller implements Filler {
  readonly #config: ModelConfig;
  readonly #parameters: ReadonlyMap<string, FloatTensor>;

  constructor(config: ModelConfig, parameters: ReadonlyMap<string, FloatTensor>) {
    this.#config = config;
    this.#parameters = parameters;
  }

  fill(_stored: StoredTensor, _bytes: Tensor<'u8'>, planned: readonly PlannedMatrix[]): void {
    for (const { plan, matrix } of planned) packMatrix(sourceOf(plan, this.#numbers(plan.parameter)), matrix, plan);
  }

  fillUnpacked(info: ParameterInfo, tensor: Tensor<'f32'>): void {
    tensor.data.set(this.#numbers(info));
  }

  #numbers(info: ParameterInfo): Float32Array {
    return expectParameter('pack', this.#config, info, this.#parameters);
  }
}

/** Enough that a row is not like its neighbours, few enough to be drawn in a moment. */
const BLOCK_VALUES = 2 ** 18;
/** Of an initial model: near 1 / sqrt(dim) or below, so that activations keep their size. */
const WEIGHT_STD = 0.02;

class RandomFiller implements Filler {
  readonly #block: Float32Array;

  constructor(seed: number, plan: readonly StoredTensor[]) {
    const prng = new Prng(seed);
    const widest = Math.max(...plan.flatMap(({ matrices }) => matrices.map(({ cols }) => cols)));
    this.#block = Float32Array.from({ length: Math.max(BLOCK_VALUES, widest) }, () => WEIGHT_STD * prng.normal());
  }

  fill(stored: StoredTensor, bytes: Tensor<'u8'>, planned: readonly PlannedMatrix[]): void {
    const rows = Math.min(...planned.map(({ plan }) => Math.floor(this.#block.length / plan.cols)));
    // One group, whose scales then serve all of them.
    const drawn = Math.min(rows, stored.rows, ...planned.map(({ plan }) => plan.groupRows));
    for (const { plan, matrix } of planned) {
      packMatrix(matrixView(this.#block, drawn, plan.cols), { ...matrix, rows: drawn, groupRows: drawn }, plan);
      if (matrix.scale) repeat(matrix.scale.data, plan.scaleAxis === 'rows' ? drawn : plan.cols);
    }
    repeat(bytes.data, drawn * stored.rowBytes);
  }

  /** Norms of 1, biases of 0; a router of random numbers spreads the tokens over its experts. */
  fillUnpacked({ shape, biasOf }: ParameterInfo, { data }: Tensor<'f32'>): void {
    if (shape.length === 1) data.fill(biasOf ? 0 : 1);
    else for (let i = 0; i < data.length; i++) data[i] = this.#block[i % this.#block.length];
  }
}

/** Fills `data` with copies of its first `length` elements. */
function repeat(data: Uint8Array | Float32Array, length: number): void {
  for (let done = length; done < data.length; done *= 2) data.copyWithin(done, 0, Math.min(done, data.length - done));
}
