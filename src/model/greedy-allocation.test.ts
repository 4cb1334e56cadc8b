import { describe, expect, it } from 'vitest';
import { randomIds } from '../../test/support/tensors.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { UsageError } from '../util/errors.ts';
import { POINTS, type Point } from './config.ts';
import { allocateGreedily, GreedySearch, parametersOf, type Shares } from './greedy-allocation.ts';
import { resolveConfig } from './resolve-config.ts';
import { ThresholdCalibration, withoutSparsifier } from './threshold-calibration.ts';
import { Transformer } from './transformer.ts';

/** Parameters of a block that are 10, 5, 30 and 15 hundredths of 60. */
const PARAMETERS: Shares = { qkv: 10, o: 5, gateUp: 30, down: 15 };
const STEP = 0.05;
const byPoint = (of: (point: Point) => number) =>
  Object.fromEntries(POINTS.map((point) => [point, of(point)])) as Record<Point, number>;
const overall = (shares: Shares) => POINTS.reduce((sum, point) => sum + shares[point] * PARAMETERS[point], 0) / 60;

/** Every way to give `steps` steps to the four points; the one with the least error. */
function bruteForce(steps: number, errorOf: (shares: Shares) => number): { shares: Shares; error: number } {
  let best: { shares: Shares; error: number } | null = null;
  const grow = (point: Point, count: number) => (count * STEP * 60) / PARAMETERS[point];
  for (let a = 0; a <= steps; a++) {
    for (let b = 0; a + b <= steps; b++) {
      for (let c = 0; a + b + c <= steps; c++) {
        const counts = { qkv: a, o: b, gateUp: c, down: steps - a - b - c };
        const shares = byPoint((point) => grow(point, counts[point]));
        if (POINTS.some((point) => shares[point] > 0.99)) continue;
        const error = errorOf(shares);
        if (best === null || error < best.error) best = { shares, error };
      }
    }
  }
  return best!;
}

describe('allocateGreedily', () => {
  it.each([
    [{ qkv: 1, o: 0.3, gateUp: 3, down: 0.4 }],
    [{ qkv: 0.05, o: 2, gateUp: 0.3, down: 0.2 }],
    [{ qkv: 1, o: 1, gateUp: 1, down: 1 }],
  ])('is as good as every way tried, where errors add up and grow ever faster: %j', (costs) => {
    const errorOf = (shares: Shares) => POINTS.reduce((sum, point) => sum + costs[point] * shares[point] ** 2, 0);
    const shares = allocateGreedily(PARAMETERS, 8 * STEP, errorOf, STEP);
    expect(overall(shares)).toBeCloseTo(8 * STEP, 10);
    expect(errorOf(shares)).toBeCloseTo(bruteForce(8, errorOf).error, 10);
  });

  it('steps by hand: o costs nothing until it is full, then the cheapest for its parameters', () => {
    const seen: Shares[] = [];
    const errorOf = (shares: Shares) => {
      seen.push(shares);
      return 3 * shares.qkv + shares.gateUp + 5 * shares.down;
    };
    const shares = allocateGreedily(PARAMETERS, 0.15, errorOf, STEP);
    // A step is 3 of 60: 0.6 of o, then the 0.39 that are left of it, then 0.1 of gateUp at a time.
    expect(seen[1].o).toBeCloseTo(0.6, 10);
    expect(shares.o).toBeCloseTo(0.99, 10);
    expect(shares.qkv).toBe(0);
    expect(shares.down).toBe(0);
    expect(shares.gateUp).toBeCloseTo((0.15 * 60 - 0.99 * 5) / 30, 10);
  });

  it('reaches shares that are no whole number of steps, and refuses those that leave nothing', () => {
    const flat = () => 0;
    expect(overall(allocateGreedily(PARAMETERS, 0.123, flat))).toBeCloseTo(0.123, 10);
    expect(overall(allocateGreedily(PARAMETERS, 0.99, flat))).toBeCloseTo(0.99, 10);
    expect(allocateGreedily(PARAMETERS, 0, flat)).toEqual({ qkv: 0, o: 0, gateUp: 0, down: 0 });
    expect(() => allocateGreedily(PARAMETERS, 0.995, flat)).toThrow(UsageError);
  });
});

describe('GreedySearch', () => {
  const backend = createReferenceBackend();
  const config = resolveConfig({
    ...{ dim: 24, hiddenDim: 48, nLayers: 2, nHeads: 2, nKvHeads: 1, vocabSize: 50, seqLen: 16, activation: 'silu' },
  });
  const ids = randomIds(backend, 32, 50, 5);
  const shape = { batch: 2, seqLen: 16 };

  function modelOf(input = withoutSparsifier(config)): Transformer {
    const model = Transformer.create(input, backend, { seed: 3 });
    for (const { value } of model.parameters) for (let i = 0; i < value.data.length; i++) value.data[i] *= 6;
    return model;
  }

  function calibrated(model: Transformer): ThresholdCalibration {
    const calibration = new ThresholdCalibration(config);
    model.pool.release(model.hidden(ids, shape, { statistics: calibration }));
    return calibration;
  }

  /** Rows of the table, as the first layer reads them. */
  function embedded(model: Transformer): FloatTensor {
    const table = model.stored[0].value.data;
    const x = model.pool.take('f32', [32, 24]);
    for (const [row, id] of ids.data.entries()) x.data.set(table.subarray(id * 24, (id + 1) * 24), row * 24);
    return x;
  }

  it('walks through the dense model layer by layer', () => {
    const model = modelOf();
    const first = embedded(model);
    const second = model.layerOutput(1, model.layerOutput(0, first, shape), shape);
    const norm = model.stored.find(({ name }) => name === 'norm')!.value.data;
    const whole = model.hidden(ids, shape).data;
    for (let row = 0; row < 32; row++) {
      const x = Array.from(second.data.subarray(row * 24, (row + 1) * 24));
      const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0) / 24 + config.normEps);
      for (const [i, value] of x.entries()) expect(value * scale * norm[i]).toBeCloseTo(whole[row * 24 + i], 4);
    }
    expect(() => model.layerOutput(2, first, shape)).toThrow('expected one of 2, got 2');
    expect(() => model.layerOutput(0, first, { batch: 1, seqLen: 16 })).toThrow('x: expected [16]');
  });

  it('measures the error of a model that has those thresholds in its first layer', () => {
    const model = modelOf();
    const calibration = calibrated(model);
    const { shares, error, uniformError } = new GreedySearch(model, calibration, [...ids.data], 16).next(0.3);
    const parameters = parametersOf(config);
    const total = POINTS.reduce((sum, point) => sum + parameters[point], 0);
    expect(POINTS.reduce((sum, point) => sum + shares[point] * parameters[point], 0) / total).toBeCloseTo(0.3, 8);

    const distanceOf = (wanted: Shares) => {
      const thresholds = byPoint((point) => calibration.threshold(point, 0, wanted[point]));
      const none = { qkv: 0, o: 0, gateUp: 0, down: 0 };
      const one = { ...config, nLayers: 1, sparsity: none };
      const sparse = modelOf(resolveConfig({ ...one, sparsifier: 'threshold', thresholds }));
      const x = embedded(model);
      for (const { name, value } of sparse.parameters) {
        value.data.set(model.stored.find((parameter) => parameter.name === name)!.value.data);
      }
      const [got, dense] = [sparse, model].map((one) => one.layerOutput(0, x, shape).data);
      let [distance, size] = [0, 0];
      for (let row = 0; row < 32; row++) {
        if (row % 16 < 4) continue;
        const of = (value: (i: number) => number) =>
          Math.sqrt(Array.from({ length: 24 }, (_, i) => value(row * 24 + i) ** 2).reduce((a, b) => a + b, 0));
        distance += of((i) => got[i] - dense[i]);
        size += of((i) => dense[i]);
      }
      return distance / size;
    };
    expect(error).toBeCloseTo(distanceOf(shares), 5);
    expect(uniformError).toBeCloseTo(distanceOf({ qkv: 0.3, o: 0.3, gateUp: 0.3, down: 0.3 }), 5);
    expect(error).toBeLessThan(uniformError);
    // The first step is the best of the four.
    const first = allocateGreedily(parameters, 0.025, distanceOf);
    const tried = POINTS.map((point) =>
      byPoint((other) => (other === point ? (0.025 * total) / parameters[point] : 0)),
    );
    expect(distanceOf(first)).toBe(Math.min(...tried.map(distanceOf)));
  });

  it('wants a whole sequence', () => {
    expect(() => new GreedySearch(modelOf(), new ThresholdCalibration(config), [1, 2], 16)).toThrow(
      'expected at least 16 tokens to search on, got 2',
    );
  });
});
