/**
 * A tiny Q-Sparse transformer against PyTorch, variant by variant: logits, loss, which features are selected, EVERY gradient,
 * and ten AdamW steps. The data and the tolerances (measured between two independent float32 programs) are those of
 * golden/qsparse_layer in the shared data folder.
 */

import { describe, expect, it } from 'vitest';
import type { Tape } from '../../src/autograd/tape.ts';
import type { Value } from '../../src/autograd/value.ts';
import type { ModelConfig, Point } from '../../src/model/config.ts';
import { fromHfWeights, toHfWeights } from '../../src/model/hf-weights.ts';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import { StepStatistics } from '../../src/model/statistics.ts';
import { Transformer } from '../../src/model/transformer.ts';
import { AdamW } from '../../src/train/adamw.ts';
import { intTensor } from '../support/tensors.ts';
import { expectGradients } from './compare-gradients.ts';
import { type GoldenBackend, goldenBackends } from './golden-backends.ts';
import { difference, type GoldenArray, missing, readArrays, readJson, sharedPath } from './golden-file.ts';

const VARIANTS = [
  'dense-swiglu',
  'dense-swiglu-tied',
  'topk50-swiglu',
  'nosTE-topk50-swiglu',
  'topk40-relu2',
  'topk60-relu2-rescale',
  'block16of32-relu2',
  'topk50-relu2-int8',
  'bitnet-topk50-relu2',
  'moe-topk50',
];
const SHAPE = { batch: 2, seqLen: 16 };
/** The golden points by their letters. */
const LETTERS: Record<Point, string> = { qkv: 'a', o: 'b', gateUp: 'c', down: 'd' };

interface GoldenJson {
  config: Record<string, never> & { act: string; sparsity: Record<string, number>; block: number } & Record<
      'rescale' | 'ste' | 'int8' | 'ternary',
      boolean
    >;
  loss: number;
  /** Of a mixture, by layer; not part of the loss. `f` is the share of the choices by expert. */
  loadBalance?: { layers: { f: number[]; value: number }[]; meanOverLayers: number };
  adamw?: {
    lr: number;
    weightDecay: number;
    loss: number[];
    gradNorm: number[];
    lossAfter: number;
  };
}

for (const target of await goldenBackends()) {
  describe(`golden qsparse_layer on ${target.name}`, () => {
    for (const variant of VARIANTS) {
      const reason = missing(sharedPath('golden', 'qsparse_layer', `${variant}.safetensors`));
      it.skipIf(reason !== null)(`${variant}${reason ? ` (${reason})` : ''}`, () => compare(target, variant));
    }
  });
}

function compare({ backend, dtype }: GoldenBackend, variant: string): void {
  const json = readJson<GoldenJson>(sharedPath('golden', 'qsparse_layer', `${variant}.json`));
  const arrays = readArrays(sharedPath('golden', 'qsparse_layer', `${variant}.safetensors`));
  const config = configOf(json);
  const model = Transformer.create(config, backend, { seed: 0, dtype });
  fromHfWeights(model.parameters, (name) => arrays.get(name) as never);
  const ids = intTensor(backend, arrays.get('input_ids')!.data);
  const targets = intTensor(backend, arrays.get('target_ids')!.data);

  const logits = model.logits(ids, SHAPE);
  expect(difference(logits.data, arrays.get('logits')!.data).maxAbs, 'logits').toBeLessThan(1e-5);

  const masks = new MaskStatistics(config);
  const { loss } = model.lossAndGradients(ids, targets, SHAPE, { statistics: masks });
  expect(Math.abs(loss - json.loss), 'loss').toBeLessThan(2e-6);
  expect(Math.abs(model.loss(ids, targets, SHAPE) - json.loss), 'loss without gradients').toBeLessThan(2e-6);
  masks.expectEqual(arrays);
  if (json.loadBalance) {
    const { layers, meanOverLayers } = json.loadBalance;
    expect(masks.expertLoad()).toEqual(layers.map(({ f }) => f.map((share) => expect.closeTo(share, 12))));
    expect(Math.abs(masks.routerTerms().loadBalance - meanOverLayers), 'load balance').toBeLessThan(1e-6);
  }
  expectGradients(model, arrays, 1e-5);
  if (json.adamw) expectTenSteps(model, ids, targets, json.adamw, arrays);
}

function expectTenSteps(
  model: Transformer,
  ids: ReturnType<typeof intTensor>,
  targets: ReturnType<typeof intTensor>,
  golden: NonNullable<GoldenJson['adamw']>,
  arrays: Map<string, GoldenArray>,
): void {
  const optimizer = new AdamW(model.parameters, model.backend.kernels, model.pool, {
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
  });
  for (const { gradient } of model.parameters) gradient.data.fill(0);
  for (let step = 1; step <= 10; step++) {
    const { loss } = model.lossAndGradients(ids, targets, SHAPE);
    const norm = optimizer.globalNorm();
    expect(Math.abs(loss - golden.loss[step - 1]), `loss of step ${step}`).toBeLessThan(1e-5);
    expect(Math.abs(norm - golden.gradNorm[step - 1]), `gradient norm of step ${step}`).toBeLessThan(5e-5);
    optimizer.step({ step, lr: golden.lr, weightDecay: golden.weightDecay, norm, clip: 1 });
  }
  expect(Math.abs(model.loss(ids, targets, SHAPE) - golden.lossAfter)).toBeLessThan(1e-5);
  for (const { name, data } of toHfWeights(model.parameters)) {
    expect(difference(data, arrays.get(`final.${name}`)!.data).maxAbs, `${name} after ten steps`).toBeLessThan(1e-4);
  }
}

function configOf({ config }: GoldenJson): ModelConfig {
  const { act, sparsity, block, rescale, ste, int8, ternary } = config;
  const fields = ['dim', 'hiddenDim', 'nLayers', 'nHeads', 'nKvHeads', 'vocabSize', 'ropeTheta', 'normEps'] as const;
  const { nExperts, nExpertsPerToken, expertHiddenDim } = config;
  return resolveConfig({
    ...(Object.fromEntries(fields.map((field) => [field, config[field]])) as never as ModelConfig),
    ...(nExperts > 0 && { nExperts, nExpertsPerToken, hiddenDim: expertHiddenDim }),
    tiedEmbeddings: config.tiedEmbeddings,
    seqLen: SHAPE.seqLen,
    activation: act === 'swiglu' ? 'silu' : 'relu2',
    ...(block > 0 && { sparsifier: 'block', blockSize: block }),
    sparsity: { qkv: sparsity.a, o: sparsity.b, gateUp: sparsity.c, down: sparsity.d },
    gradient: ste ? 'straight-through' : 'masked',
    rescale: rescale ? 'l2' : 'none',
    activationFormat: int8 ? 'int8' : 'float',
    weightFormat: ternary ? 'ternary' : 'float',
  });
}

/** Remembers which features were selected at every point. */
class MaskStatistics extends StepStatistics {
  readonly #masks = new Map<string, Uint8Array>();
  readonly #nExperts: number;

  constructor(config: ModelConfig) {
    super(config);
    this.#nExperts = config.nExperts;
  }

  override observe(tape: Tape, point: Point, layer: number, x: Value, selected: Value, expert = 0): void {
    super.observe(tape, point, layer, x, selected, expert);
    if (selected.rows === null) return;
    const { rows, cols, start, index } = selected.rows;
    const mask = new Uint8Array(rows * cols);
    for (let row = 0; row < rows; row++) {
      for (let i = start.data[row]; i < start.data[row + 1]; i++) mask[row * cols + index.data[i]] = 1;
    }
    const ofExpert = point === 'down' && this.#nExperts > 0 ? `expert${expert}.` : '';
    this.#masks.set(`mask.layers.${layer}.${ofExpert}${LETTERS[point]}`, mask);
  }

  /** Code 2 of the golden masks means: so small that it does not matter. The choice of experts shows in theirs: one row for each of its tokens. */
  expectEqual(arrays: Map<string, GoldenArray>): void {
    for (const [name, golden] of arrays) {
      if (!name.startsWith('mask.') || name.endsWith('.router')) continue;
      const data = name.includes('.expert') ? rowsOfExpert(name, golden, arrays) : golden.data;
      const got = this.#masks.get(name);
      expect(got, name).toBeDefined();
      expect(got!.length, name).toBe(data.length);
      const wrong = [...data].filter((code, i) => code !== 2 && code !== got![i]).length;
      expect(wrong, `${name}: features selected differently`).toBe(0);
    }
  }
}

/** The rows of the tokens that chose the expert of a mask. */
function rowsOfExpert(name: string, { shape, data }: GoldenArray, arrays: Map<string, GoldenArray>): number[] {
  const [, layer, expert] = /^(mask\.layers\.\d+)\.expert(\d+)\.d$/.exec(name)!;
  const router = arrays.get(`${layer}.router`)!;
  const [nExperts, hiddenDim] = [router.shape.at(-1)!, shape.at(-1)!];
  return [...data].filter((_, i) => router.data[Math.floor(i / hiddenDim) * nExperts + Number(expert)] === 1);
}
