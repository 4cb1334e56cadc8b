import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import type { TrainedParameter } from '../model/parameters.ts';
import { TensorPool } from '../tensor-pool.ts';
import { AdamW } from './adamw.ts';

const OPTIONS = { beta1: 0.9, beta2: 0.95, eps: 1e-8 };
const WEIGHT_DECAY = 0.1;

function setUp() {
  const backend = createReferenceBackend();
  const pool = new TensorPool(backend);
  const parameter = (
    name: string,
    shape: number[],
    decay: boolean,
    projections: TrainedParameter['projections'] = [],
  ) => {
    const value = pool.takeZeroed('f64', shape);
    value.data.forEach((_, i) => {
      value.data[i] = Math.sin(i + name.length);
    });
    return { name, value, gradient: pool.takeZeroed('f64', shape), decay, projections } as TrainedParameter;
  };
  const norm = parameter('layers.0.norm', [3], false);
  const gateUp = parameter('layers.0.gateUp', [2, 4], true, [
    { name: 'gate', layer: 0, first: 0, count: 2 },
    { name: 'up', layer: 0, first: 2, count: 2 },
  ]);
  return { parameters: [norm, gateUp], norm, gateUp, backend, pool };
}

/** The update as Loshchilov & Hutter write it, one number at a time. */
function expected(p: number, gradients: number[], lr: number, decay: number): number {
  let value = p;
  let m = 0;
  let v = 0;
  gradients.forEach((g, i) => {
    m = 0.9 * m + 0.1 * g;
    v = 0.95 * v + 0.05 * g * g;
    const mHat = m / (1 - 0.9 ** (i + 1));
    const vHat = v / (1 - 0.95 ** (i + 1));
    value = value - lr * decay * value - (lr * mHat) / (Math.sqrt(vHat) + 1e-8);
  });
  return value;
}

describe('AdamW', () => {
  it('follows the formula over three steps, decays matrices only, clears the gradients', () => {
    const { parameters, norm, gateUp, backend, pool } = setUp();
    const adamw = new AdamW(parameters, backend.kernels, pool, OPTIONS);
    const before = [norm.value.data[1], gateUp.value.data[5]];
    const gradients = [0.3, -0.2, 0.05];
    gradients.forEach((g, i) => {
      norm.gradient.data[1] = g;
      gateUp.gradient.data[5] = g;
      adamw.step({ step: i + 1, lr: 0.01, weightDecay: WEIGHT_DECAY, norm: adamw.globalNorm(), clip: 0 });
    });
    expect(norm.value.data[1]).toBeCloseTo(expected(before[0], gradients, 0.01, 0), 12);
    expect(gateUp.value.data[5]).toBeCloseTo(expected(before[1], gradients, 0.01, 0.1), 12);
    expect([...norm.gradient.data, ...gateUp.gradient.data].every((g) => g === 0)).toBe(true);
  });

  it('norms: all gradients together, and by projection from the columns of the fused matrix', () => {
    const { parameters, norm, gateUp, backend, pool } = setUp();
    const adamw = new AdamW(parameters, backend.kernels, pool, OPTIONS);
    norm.gradient.data.set([1, 2, 2]);
    gateUp.gradient.data.set([3, 0, 0, 5, 0, 4, 12, 0]);
    expect(adamw.globalNorm()).toBeCloseTo(Math.sqrt(9 + 25 + 169), 12);
    expect(adamw.projectionNorms()).toEqual({ gate: [5], up: [13] });
  });

  it('clips at the global norm as PyTorch does and leaves smaller gradients alone', () => {
    const step = (clip: number, scale: number): number => {
      const { parameters, gateUp, backend, pool } = setUp();
      const adamw = new AdamW(parameters, backend.kernels, pool, { ...OPTIONS, eps: 1 });
      gateUp.gradient.data[0] = 3 * scale;
      gateUp.gradient.data[1] = 4 * scale;
      adamw.step({ step: 1, lr: 0.1, weightDecay: WEIGHT_DECAY, norm: adamw.globalNorm(), clip });
      return gateUp.value.data[0];
    };
    // A large eps makes the update depend on the size of the gradient.
    expect(step(1, 10)).toBeCloseTo(step(0, 10 * (1 / (50 + 1e-6))), 12);
    expect(step(1, 0.1)).toBe(step(0, 0.1));
  });

  it('names the parameter whose gradient is broken', () => {
    const { parameters, gateUp, backend, pool } = setUp();
    const adamw = new AdamW(parameters, backend.kernels, pool, OPTIONS);
    expect(adamw.firstBrokenGradient()).toBeNull();
    gateUp.gradient.data[7] = Number.POSITIVE_INFINITY;
    expect(adamw.globalNorm()).toBe(Number.POSITIVE_INFINITY);
    expect(adamw.firstBrokenGradient()).toBe('layers.0.gateUp');
  });

  it('gives its memory back', () => {
    const { parameters, backend, pool } = setUp();
    const live = pool.liveBytes;
    new AdamW(parameters, backend.kernels, pool, OPTIONS).dispose();
    expect(pool.liveBytes).toBe(live);
  });
});
