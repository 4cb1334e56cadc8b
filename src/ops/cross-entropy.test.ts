import { describe, expect, it } from 'vitest';
import { floatTensor, intTensor, randomTensor } from '../../test/support/tensors.ts';
import { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { tokenLoss } from '../nn/token-loss.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { TensorPool } from '../tensor-pool.ts';
import { type CrossEntropyInput, crossEntropy, type Teacher, type TokenLoss } from './cross-entropy.ts';

const backend = createReferenceBackend();
const [nTokens, dim, vocabSize] = [300, 3, 7]; // more tokens than one chunk, and a chunk that is not full
const hidden = randomTensor(backend, 'f64', [nTokens, dim], 1);
const head = randomTensor(backend, 'f64', [vocabSize, dim], 2);

type Loss = (tape: Tape, input: CrossEntropyInput) => TokenLoss;
/** The op, which multiplies all tokens, and what leaves those without a target out in front of it. */
const LOSSES: [name: string, loss: Loss][] = [
  ['crossEntropy', (tape, input) => tape.apply(crossEntropy, input)],
  ['tokenLoss', tokenLoss],
];

function run(lossOf: Loss, targets: number[], gradientScale: number, teacher: Teacher | null = null) {
  const pool = new TensorPool(backend);
  const tape = new Tape(backend.kernels, pool, { dtype: 'f64', recording: true });
  const weight = { value: head, gradient: floatTensor(backend, 'f64', [vocabSize, dim], []) };
  const value = new Value([nTokens, dim], { dense: hidden });
  const input = { hidden: value, head: weight, targets: intTensor(backend, targets), gradientScale, teacher };
  const { loss, divergence } = lossOf(tape, input);
  tape.backward();
  const dHidden = Array.from(value.gradient!.dense!.data);
  const { flops } = tape;
  tape.dispose();
  return { loss, divergence, dHidden, dHead: Array.from(weight.gradient.data), flops, live: pool.liveBytes };
}

it('keeps nothing of the logits until the backward pass', () => {
  const pool = new TensorPool(backend);
  const tape = new Tape(backend.kernels, pool, { dtype: 'f64', recording: true });
  const weight = { value: head, gradient: floatTensor(backend, 'f64', [vocabSize, dim], []) };
  const value = new Value([nTokens, dim], { dense: hidden });
  const targets = intTensor(backend, new Array(nTokens).fill(1));
  tape.apply(crossEntropy, { hidden: value, head: weight, targets, gradientScale: 1 });
  const kept = pool.liveBytes;
  const gradient = pool.take('f64', [nTokens, dim]);
  expect(kept).toBe(pool.liveBytes - kept);
  pool.release(gradient);
  tape.dispose();
});

/** The same, token by token from the formula. */
function expected(targets: number[], gradientScale: number) {
  const nTargets = targets.filter((target) => target !== -1).length;
  const result = { loss: 0, dHidden: new Array(nTokens * dim).fill(0), dHead: new Array(vocabSize * dim).fill(0) };
  for (let token = 0; token < nTokens; token++) {
    if (targets[token] === -1) continue;
    const h = Array.from(hidden.data.subarray(token * dim, (token + 1) * dim));
    const exponentials = Array.from({ length: vocabSize }, (_, v) =>
      Math.exp(h.reduce((sum, value, i) => sum + value * head.data[v * dim + i], 0)),
    );
    const total = exponentials.reduce((sum, value) => sum + value, 0);
    result.loss -= Math.log(exponentials[targets[token]] / total) / nTargets;
    for (let v = 0; v < vocabSize; v++) {
      const dLogit = ((exponentials[v] / total - (v === targets[token] ? 1 : 0)) * gradientScale) / nTargets;
      for (let i = 0; i < dim; i++) {
        result.dHidden[token * dim + i] += dLogit * head.data[v * dim + i];
        result.dHead[v * dim + i] += dLogit * h[i];
      }
    }
  }
  return result;
}

describe.each(LOSSES)('%s with a teacher', (_name, lossOf) => {
  const taughtHidden = randomTensor(backend, 'f64', [nTokens, 2], 3); // of another width
  const taughtHead = randomTensor(backend, 'f64', [vocabSize, 2], 4);
  const targets = Array.from({ length: nTokens }, (_, token) => (token % 5 === 2 ? -1 : token % vocabSize));
  const temperature = 2;

  function divergence(head: FloatTensor): number {
    let sum = 0;
    for (let token = 0; token < nTokens; token++) {
      if (targets[token] === -1) continue;
      const [p, q] = [probabilities(taughtHidden, taughtHead, token), probabilities(hidden, head, token)];
      sum += p.reduce((total, value, v) => total + value * Math.log(value / q[v]), 0);
    }
    return (temperature ** 2 * sum) / targets.filter((target) => target !== -1).length;
  }

  /** Softmax at the temperature, from the formula. */
  function probabilities(states: FloatTensor, head: FloatTensor, token: number): number[] {
    const width = states.shape[1];
    const exponentials = Array.from({ length: vocabSize }, (_, v) => {
      let logit = 0;
      for (let i = 0; i < width; i++) logit += states.data[token * width + i] * head.data[v * width + i];
      return Math.exp(logit / temperature);
    });
    const total = exponentials.reduce((sum, value) => sum + value, 0);
    return exponentials.map((value) => value / total);
  }

  it.each([0.25, 1])(
    'equals the formula over several chunks; its gradient is that of both terms: weight %d',
    (weight) => {
      const got = run(lossOf, targets, 1, { hidden: taughtHidden, head: taughtHead, weight, temperature });
      const plain = expected(targets, 1);
      expect(got.loss).toBeCloseTo(plain.loss, 12);
      expect(got.divergence).toBeCloseTo(divergence(head), 12);
      // Its gradient by the head, by finite differences of the formula.
      const moved = (at: number, step: number) => {
        const data = Float64Array.from(head.data);
        data[at] += step;
        return divergence({ ...head, data });
      };
      for (const at of [0, 8, 20]) {
        const numeric = (moved(at, 1e-6) - moved(at, -1e-6)) / 2e-6;
        expect(got.dHead[at]).toBeCloseTo((1 - weight) * plain.dHead[at] + weight * numeric, 8);
      }
    },
  );
});

describe.each(LOSSES)('%s', (_name, lossOf) => {
  const all = Array.from({ length: nTokens }, (_, token) => token % vocabSize);

  it.each([
    ['all tokens', all, 1],
    ['scaled gradients', all, 0.25],
    ['a part of the tokens', all.map((target, token) => (token % 3 === 0 ? -1 : target)), 1],
  ])('equals the formula over several chunks: %s', (_name, targets, gradientScale) => {
    const [got, want] = [run(lossOf, targets, gradientScale), expected(targets, gradientScale)];
    expect(got.loss).toBeCloseTo(want.loss, 12);
    got.dHidden.forEach((value, i) => {
      expect(value).toBeCloseTo(want.dHidden[i], 12);
    });
    got.dHead.forEach((value, i) => {
      expect(value).toBeCloseTo(want.dHead[i], 12);
    });
    expect(got.live).toBe(0);
  });

  it('is 0 with gradient 0 where no token counts', () => {
    const { loss, dHidden, dHead } = run(lossOf, new Array(nTokens).fill(-1), 1);
    expect(loss).toBe(0);
    expect([...dHidden, ...dHead].every((value) => Math.abs(value) === 0)).toBe(true);
  });
});

describe('tokenLoss', () => {
  it('multiplies the tokens that count and no others', () => {
    const targets = Array.from({ length: nTokens }, (_, token) => (token % 3 === 0 ? token % vocabSize : -1));
    const products = 3; // logits and two gradients
    expect(run(tokenLoss, targets, 1).flops).toBe(2 * products * (nTokens / 3) * dim * vocabSize);
  });
});
