import { describe, expect, it } from 'vitest';
import { runBackward } from '../../test/support/run-backward.ts';
import { floatTensor, randomTensor } from '../../test/support/tensors.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { gatedHidden, type HiddenForm } from './gated-hidden.ts';
import { sparsify } from './sparsify.ts';

const backend = createReferenceBackend();
const [features, hidden] = [10, 4];
const x = randomTensor(backend, 'f64', [1, features], 1);
const dOut = floatTensor(backend, 'f64', [1, hidden], [1, 2, 3, 4]);

/** gate | up; the first `closed` gates are far below 0. */
function weight(closed: number) {
  const value = randomTensor(backend, 'f64', [features, 2 * hidden], 5);
  for (let row = 0; row < features; row++) {
    for (let col = 0; col < closed; col++) value.data[row * 2 * hidden + col] = -Math.sign(x.data[row]) * 9;
  }
  return { value, gradient: floatTensor(backend, 'f64', [features, 2 * hidden], []) };
}

function run(closed: number, form: HiddenForm, l1 = 0) {
  const w = weight(closed);
  const input = { weight: w, activation: 'relu2', l1, form, threshold: 0 } as const;
  const result = runBackward(backend, x, dOut, (tape, x) => tape.apply(gatedHidden, { x, ...input }));
  return { ...result, w };
}

function expectClose(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(got.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(got[i]).toBeCloseTo(expected[i], 10);
}

describe('gatedHidden', () => {
  it.each(['any', 'dense'] as const)('is relu(gate)^2 up with the derivatives of it, by hand (form: %s)', (form) => {
    const { output, dX, w, flops, leakedBytes } = run(3, form);
    expect(output.slice(0, 3)).toEqual([0, 0, 0]);
    // One channel may be open: hidden = g^2 u, d hidden = 4.
    const column = (col: number) => Array.from({ length: features }, (_, i) => w.value.data[i * 2 * hidden + col]);
    const dot = (v: number[]) => v.reduce((sum, value, i) => sum + value * x.data[i], 0);
    const [g, u] = [Math.max(dot(column(3)), 0), dot(column(7))];
    expect(output[3]).toBeCloseTo(g * g * u, 10);
    expectClose(
      dX,
      column(3).map((gate, i) => 4 * (2 * g * u * gate + g * g * column(7)[i])),
    );
    expectClose(
      w.gradient.data,
      Array.from({ length: features * 2 * hidden }, (_, i) => {
        const [row, col] = [Math.floor(i / (2 * hidden)), i % (2 * hidden)];
        if (col === 3) return 4 * 2 * g * u * x.data[row];
        return col === 7 ? 4 * g * g * x.data[row] : 0;
      }),
    );
    expect(leakedBytes).toBe(0);
    // The gates, one of up, dX of two columns; dW whole, because adding a transposed matrix costs more at this size.
    if (form === 'any') expect(flops).toBeLessThanOrEqual(2 * features * (hidden + 1 + 2 + 2 * hidden));
  });

  it.each([0, 2, 3, 4])('is the same as a list and whole, with %i of 4 gates closed', (closed) => {
    const [list, whole] = [run(closed, 'any', 0.3), run(closed, 'dense', 0.3)];
    expectClose(list.output, whole.output);
    expectClose(list.dX, whole.dX);
    expectClose(list.w.gradient.data, whole.w.gradient.data);
  });

  it.each([0, 2, 3, 4])(
    'as a list of what is positive is the ReLU of the whole, with %i of 4 gates closed',
    (closed) => {
      const list = run(closed, 'positive', 0.3);
      // The L1 term of the ReLU: its derivative stands with the gradient from behind, where the ReLU lets it through.
      const w = weight(closed);
      const withL1 = floatTensor(
        backend,
        'f64',
        [1, hidden],
        Array.from(dOut.data, (d) => d + 0.3),
      );
      const whole = runBackward(backend, x, withL1, (tape, x) => {
        const dense = tape.apply(gatedHidden, {
          x,
          weight: w,
          activation: 'relu2',
          l1: 0,
          form: 'dense',
          threshold: 0,
        });
        return tape.apply(sparsify, { x: dense, rule: { keeps: 'positive' }, gradient: 'masked' });
      });
      expect(list.output.every((value) => value >= 0)).toBe(true);
      expectClose(list.output, whole.output);
      expectClose(list.dX, whole.dX);
      expectClose(list.w.gradient.data, w.gradient.data);
      expect(list.leakedBytes).toBe(0);
    },
  );
});
