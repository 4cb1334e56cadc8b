import { describe, expect, it } from 'vitest';
import { disturb } from '../../test/support/model-weights.ts';
import { randomIds } from '../../test/support/tensors.ts';
import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { UsageError } from '../util/errors.ts';
import { type ModelConfig, POINTS, type Point } from './config.ts';
import type { ParameterSource } from './parameter-source.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';
import { StepStatistics } from './statistics.ts';
import { Transformer } from './transformer.ts';
import { winaSource } from './wina-source.ts';

const backend = createReferenceBackend();
const SHAPE = { dim: 8, hiddenDim: 12, nLayers: 2, nHeads: 4, headDim: 2, vocabSize: 11, seqLen: 6 } as const;
const shape = { batch: 1, seqLen: 6 };
const ids = randomIds(backend, 6, 11, 1);

/** A dense model with weights that matter, as a source of its parameters. */
function sourceOf(input: Partial<ModelConfigInput> = {}): ParameterSource & { model: Transformer } {
  const config = resolveConfig({ ...SHAPE, activation: 'silu', ...input });
  const model = disturb(Transformer.create(config, backend, { seed: 3 }));
  const values = new Map(model.parameters.map(({ name, value }) => [name, value.data as Float32Array]));
  const read: ParameterSource['read'] = ({ name }, out) => out.set(values.get(name)!);
  return { config, tokenizer: {}, tokenizerConfig: null, step: 0, read, model };
}

const modelOf = (source: ParameterSource, config: ModelConfig = source.config) =>
  Transformer.create(config, backend, { seed: 0, initial: source, dtype: 'f64' });

/** What stays of the input at a point of the first layer, and the input. */
class Watch extends StepStatistics {
  readonly #point: Point;
  x: number[] = [];
  kept: number[][] = [];

  constructor(config: ModelConfig, point: Point) {
    super(config);
    this.#point = point;
  }

  override observe(tape: Tape, point: Point, layer: number, x: Value, selected: Value): void {
    super.observe(tape, point, layer, x, selected);
    if (layer !== 0 || point !== this.#point) return;
    this.x = [...tape.denseForm(x).data];
    const { rows } = selected;
    if (rows === null) return;
    this.kept = Array.from({ length: rows.rows }, (_, row) => [
      ...rows.index.data.slice(rows.start.data[row], rows.start.data[row + 1]),
    ]);
  }
}

function watched(model: Transformer, point: Point): Watch {
  const watch = new Watch(model.config, point);
  model.pool.release(model.logits(ids, shape, { statistics: watch }));
  return watch;
}

describe('winaSource', () => {
  it.each<[string, Partial<ModelConfigInput>]>([
    ['SwiGLU', {}],
    ['shared heads of v, ReLU^2', { nKvHeads: 2, activation: 'relu2' }],
    ['biases and norms of heads', { nKvHeads: 2, qkvBias: true, qkNorm: true }],
    ['sub-norms', { nKvHeads: 1, subNorms: true, activation: 'relu' }],
  ])('is the same dense function: %s', (_name, input) => {
    const source = sourceOf(input);
    const [plain, scaled] = [modelOf(source), modelOf(winaSource(source))];
    const expected = plain.logits(ids, shape);
    const got = scaled.logits(ids, shape);
    for (let i = 0; i < got.data.length; i++) expect(got.data[i]).toBeCloseTo(expected.data[i], 5);
    expect([...scaled.parameters[2].value.data]).not.toEqual([...plain.parameters[2].value.data]);
  });

  it.each(POINTS)('top-K of its inputs at %s is the largest |x| times the norm of its row', (point) => {
    const source = sourceOf();
    const { x } = watched(modelOf(source), point);
    const matrix = source.model.parameters.find(({ name }) => name === `layers.0.${point}`)!.value;
    const [features, outputs] = matrix.shape;
    const norms = Array.from({ length: features }, (_, i) =>
      Math.hypot(...matrix.data.slice(i * outputs, (i + 1) * outputs)),
    );
    const { kept } = watched(
      modelOf(winaSource(source), resolveConfig({ ...source.config, sparsity: { [point]: 0.5 } })),
      point,
    );
    const plain = watched(modelOf(source, resolveConfig({ ...source.config, sparsity: { [point]: 0.5 } })), point);
    kept.forEach((indices, token) => {
      const scores = norms.map((norm, i) => ({ i, score: norm * Math.abs(x[token * features + i]) }));
      const largest = scores.sort((a, b) => b.score - a.score).slice(0, features / 2);
      expect(indices).toEqual(largest.map(({ i }) => i).sort((a, b) => a - b));
    });
    expect(kept).toHaveLength(6);
    expect(kept).not.toEqual(plain.kept);
  });

  it('refuses what would become another function', () => {
    const source = sourceOf({ nExperts: 2, nExpertsPerToken: 1 });
    expect(() => winaSource(source)).toThrow(UsageError);
    expect(() => winaSource(sourceOf({ rescale: 'l2' }))).toThrow(/got a model that re-scales its inputs/);
    const calibrated = sourceOf({ sparsifier: 'threshold', thresholds: { qkv: 0.5 } });
    expect(() => winaSource(calibrated)).toThrow(/got thresholds for inputs as they are/);
  });
});
