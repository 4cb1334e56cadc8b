import { describe, expect, it } from 'vitest';
import { randomIds } from '../../test/support/tensors.ts';
import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { UsageError } from '../util/errors.ts';
import { POINTS, type Point } from './config.ts';
import { resolveConfig } from './resolve-config.ts';
import { StepStatistics } from './statistics.ts';
import { ThresholdCalibration, withoutSparsifier } from './threshold-calibration.ts';
import { Transformer } from './transformer.ts';

const backend = createReferenceBackend();
const config = resolveConfig({
  ...{ dim: 32, hiddenDim: 64, nLayers: 2, nHeads: 2, vocabSize: 50, seqLen: 40 },
  sparsity: 0.9, // is not looked at
});
const shape = { batch: 1, seqLen: 40 };
const ids = randomIds(backend, 40, 50, 1);

/** All magnitudes, to sort. */
class Magnitudes extends StepStatistics {
  readonly seen = new Map<string, number[]>();

  override observe(tape: Tape, point: Point, layer: number, x: Value, selected: Value): void {
    super.observe(tape, point, layer, x, selected);
    this.seen.set(`${point} ${layer}`, Array.from(tape.denseForm(x).data, Math.abs));
  }
}

function modelOf(input = withoutSparsifier(config)): Transformer {
  const model = Transformer.create(input, backend, { seed: 1 });
  for (const { value } of model.parameters) for (let i = 0; i < value.data.length; i++) value.data[i] *= 8;
  return model;
}

describe('ThresholdCalibration', () => {
  const dense = modelOf();
  const calibration = new ThresholdCalibration(config);
  const magnitudes = new Magnitudes(config);
  dense.loss(ids, ids, shape, { statistics: calibration });
  dense.loss(ids, ids, shape, { statistics: magnitudes });

  it.each([0.1, 0.4, 0.5, 0.9, 0.999])(
    'finds the magnitude below which a share of %f lies, as sorting does',
    (share) => {
      const thresholds = calibration.thresholds(Object.fromEntries(POINTS.map((point) => [point, share])));
      for (const point of POINTS) {
        for (let layer = 0; layer < 2; layer++) {
          const values = magnitudes.seen.get(`${point} ${layer}`)!;
          const threshold = thresholds[point][layer];
          const zeros = values.filter((value) => value === 0).length / values.length;
          if (zeros >= share) {
            expect(threshold).toBe(0);
            continue;
          }
          const sorted = values.toSorted((a, b) => a - b);
          const at = Math.ceil(share * values.length) - 1;
          // A bucket is 0.4 % wide; within it, the threshold may lie between any two of its values.
          expect(threshold / sorted[at]).toBeGreaterThan(1 - 0.004);
          expect(threshold / sorted[at]).toBeLessThan(1 + 0.004);
          expect(Math.fround(threshold)).toBe(threshold);
        }
      }
    },
  );

  it('has zeros of ReLU gates before down, which may be enough', () => {
    const thresholds = calibration.thresholds({ down: 0.3 });
    expect(thresholds).toEqual({ qkv: [0, 0], o: [0, 0], gateUp: [0, 0], down: [0, 0], gate: [0, 0] });
  });

  it('gives a model with that share of zeros, exactly where nothing is dropped before', () => {
    const thresholds = calibration.thresholds({ qkv: 0.5, o: 0.5, gateUp: 0.5, down: 0.7 });
    const none = { qkv: 0, o: 0, gateUp: 0, down: 0 };
    const sparse = modelOf(resolveConfig({ ...config, sparsifier: 'threshold', sparsity: none, thresholds }));
    const statistics = new StepStatistics(config);
    sparse.loss(ids, ids, shape, { statistics });
    const { qkv, o, gateUp, down } = statistics.sparsity();
    expect(Math.abs(qkv[0] - 0.5)).toBeLessThan(0.01);
    for (const share of [qkv[1], ...o, ...gateUp]) expect(Math.abs(share - 0.5)).toBeLessThan(0.15);
    for (const share of down) expect(share).toBeGreaterThan(0.55);
  });

  it('finds the same of the activations of gates', () => {
    const silu = resolveConfig({ ...config, activation: 'silu' });
    const model = modelOf(withoutSparsifier(silu));
    const gates: number[] = [];
    const [own, plain] = [new ThresholdCalibration(silu), new StepStatistics(silu)];
    plain.observeGates = (layer, gateUp) => {
      for (let i = 0; layer === 1 && i < gateUp.data.length; i++) {
        if (i % 128 < 64) gates.push(Math.abs(gateUp.data[i] / (1 + Math.exp(-gateUp.data[i]))));
      }
    };
    for (const statistics of [own, plain]) model.loss(ids, ids, shape, { statistics });
    const sorted = gates.toSorted((a, b) => a - b);
    expect(sorted.length).toBe(40 * 64);
    const { gate, qkv } = own.thresholds({ gate: 0.6 });
    expect(qkv).toEqual([0, 0]);
    expect(Math.abs(gate[1] / sorted[0.6 * 40 * 64 - 1] - 1)).toBeLessThan(0.004);
  });

  it('adds texts up', () => {
    const two = new ThresholdCalibration(config);
    for (let pass = 0; pass < 2; pass++) dense.loss(ids, ids, shape, { statistics: two });
    expect(two.thresholds({ qkv: 0.5, o: 0.3 })).toEqual(calibration.thresholds({ qkv: 0.5, o: 0.3 }));
  });

  it('refuses nothing measured, and what is not finite', () => {
    expect(() => new ThresholdCalibration(config).thresholds({ o: 0.5 })).toThrow(UsageError);
    const broken = modelOf();
    broken.parameters.find(({ name }) => name === 'layers.1.ffnNorm')!.value.data[3] = Number.NaN;
    const statistics = new ThresholdCalibration(config);
    broken.loss(ids, ids, shape, { statistics });
    expect(() => statistics.thresholds({ qkv: 0.5, gateUp: 0.5 })).toThrow(
      'what is measured at gateUp of layer 1 is not finite',
    );
    expect(statistics.thresholds({ qkv: 0.5 }).qkv).toEqual(calibration.thresholds({ qkv: 0.5 }).qkv);
  });
});
