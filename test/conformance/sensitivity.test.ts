/**
 * The suite must be able to fail: known faults are put into the reference's kernels, one at a time, and each must be found by the
 * cases of its kernel. Each is a defect that a real implementation could have.
 */

import { describe, expect, it } from 'vitest';
import type { Backend, Kernels, MatmulOptions } from '../../src/backend.ts';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import { KV_ITEM_COLUMNS, type KvItems } from '../../src/tensor/kv-slots.ts';
import type { FloatTensor, IntTensor } from '../../src/tensor/tensor.ts';
import { weightRowBytes } from '../../src/tensor/weight-matrix.ts';
import { casesByKernel } from './cases.ts';
import { faultsOf } from './conformance.ts';

const { kernels } = createReferenceBackend();

type Mutant = Partial<Kernels>;

/** The tensor with other bits where the product is in bf16. */
function changed(x: FloatTensor, options: MatmulOptions | undefined, change: (bits: number) => number): FloatTensor {
  if (options?.precision !== 'bf16') return x;
  const bits = new Uint32Array(Float32Array.from(x.data).buffer).map(change);
  return { ...x, data: new Float32Array(bits.buffer) } as FloatTensor;
}

const cut = (bits: number) => bits & 0xffff0000;
const awayFromZero = (bits: number) => (bits + 0x8000) & 0xffff0000;

const oneEarlier = (firstKeys: IntTensor): IntTensor => ({
  ...firstKeys,
  data: firstKeys.data.map((first) => Math.max(0, first - 1)),
});

/** The tensor with every number 0 (or `value`), so that what depends on it is forgotten. */
function all<T extends FloatTensor>(x: T, value = 0): T {
  return { ...x, data: x.data.map(() => value) } as T;
}

/** A copy, for what a call writes that is not wanted. */
function copyOf<T extends FloatTensor>(x: T): T {
  return { ...x, data: x.data.slice() } as T;
}

/** `call`, and the place as it was before. */
function leavingOut(data: Float32Array | Float64Array | Int32Array, at: number, call: () => void): void {
  const before = data[at];
  call();
  data[at] = before;
}

/** Columns of the table of items. */
const [START, SLOT] = [2, 3];

function changedItems(items: KvItems, column: number, change: (value: number) => number): KvItems {
  return { ...items, data: items.data.map((value, i) => (i % KV_ITEM_COLUMNS === column ? change(value) : value)) };
}

const MUTANTS: Record<string, Mutant> = {
  'a product that forgets its last column': {
    matmul(a, b, out, options) {
      const before = out.data[out.data.length - 1];
      kernels.matmul(a, b, out, options);
      out.data[out.data.length - 1] = before;
    },
  },
  'a product that adds to what it should overwrite': {
    sparseMatmul: (a, b, out, options) => kernels.sparseMatmul(a, b, out, { ...options, accumulate: true }),
  },
  'a product that reads weights under zeros': {
    sparseMatmul(a, b, out, options) {
      kernels.sparseMatmul(a, b, out, options);
      if (b.data.some((x) => !Number.isFinite(x))) out.data.fill(Number.NaN);
    },
  },
  'bf16 operands that are cut instead of rounded': {
    matmul: (a, b, out, options) => kernels.matmul(changed(a, options, cut), changed(b, options, cut), out, options),
  },
  'bf16 operands with ties away from zero': {
    sparseMatmul: (a, b, out, options) => kernels.sparseMatmul(a, changed(b, options, awayFromZero), out, options),
  },
  'bf16 products that round nothing': {
    sparseMatmul: (a, b, out, options) => kernels.sparseMatmul(a, b, out, { ...options, precision: 'f32' }),
  },
  'a product rounded to 12 bits': {
    matmul(a, b, out, options) {
      kernels.matmul(a, b, out, options);
      for (let j = 0; j < out.data.length; j++) out.data[j] *= 1 + 2 ** -12 * (j % 2);
    },
  },
  'a stored product that saturates at 16 bits': {
    weightMatvec(x, w, out, options) {
      kernels.weightMatvec(x, w, out, options);
      if (w.dtype !== 'int8') return;
      for (let j = 0; j < out.data.length; j++) out.data[j] = Math.max(-100, Math.min(out.data[j], 100));
    },
  },
  'tiles that scale every group like the first one': {
    weightMatmul: (x, w, out, options) => kernels.weightMatmul(x, { ...w, groupRows: w.rows }, out, options),
  },
  'dot products that ignore the slack between rows': {
    weightDots: (x, w, out, options) =>
      kernels.weightDots(x, { ...w, rowBytes: Math.ceil(weightRowBytes(w.dtype, w.cols) / 4) * 4 }, out, options),
  },
  'activations with halves away from zero': {
    quantizeRows(x, out) {
      kernels.quantizeRows(x, out);
      const values = 'value' in x ? x.value.data : x.data;
      for (let i = 0; i < out.value.data.length; i++) {
        if (Math.abs(values[i] % 1) === 0.5) out.value.data[i] = Math.sign(values[i]) * Math.round(Math.abs(values[i]));
      }
    },
  },
  'a quantiser that takes the largest value for the largest magnitude': {
    fakeQuantizeRows(x, out) {
      kernels.fakeQuantizeRows(x, out);
      if ('value' in x || x.data.length < 2 || Math.max(...x.data.map(Math.abs)) === Math.max(...x.data)) return;
      out.data[0] = Math.max(...x.data);
    },
  },
  'a norm of a list without epsilon': {
    rmsNormRows: (x, weight, _eps, out, rstd) => kernels.rmsNormRows(x, weight, 0, out, rstd),
  },
  'a gradient of a list that forgets what the scale depends on': {
    rmsNormRowsBackward(x, weight, rstd, dOut, dX, dWeight) {
      const none = { ...x, value: { ...x.value, data: x.value.data.map(() => 0) } as typeof x.value };
      kernels.rmsNormRowsBackward(x, weight, rstd, dOut, { ...dX, data: dX.data.slice() } as typeof dX, dWeight);
      kernels.rmsNormRowsBackward(none, weight, rstd, dOut, dX, { ...dWeight, data: dWeight.data.slice() } as never);
    },
  },
  'a threshold that counts as above itself': {
    ternarize(w, columns, scale, out) {
      kernels.ternarize(w, columns, { ...scale, threshold: scale.threshold * (1 - 2 ** -24) }, out);
    },
  },
  'ties to the higher index': {
    selectTopK(x, kept, out) {
      kernels.selectTopK(x, kept, out);
      const last = x.shape[1] - 1;
      const end = kept - 1;
      const at = out.index.data[end];
      if (at !== last && Math.abs(x.data[at]) === Math.abs(x.data[last])) {
        out.index.data[end] = last;
        out.value.data[end] = x.data[last];
      }
    },
  },
  'an input that is selected before its norm': {
    selectInput(x, norm, kept, out, quantized) {
      kernels.selectInput(x, norm, kept, out, quantized);
      if (norm === null) return;
      const whole = { ...out, value: { ...out.value, data: out.value.data.slice() } as typeof out.value };
      kernels.selectTopK(x, kept, whole);
    },
  },
  'a block that takes one from its neighbour': {
    selectBlockTopK(x, out) {
      const { size, kept, place } = out.blocks;
      const pairs = x.shape[1] % (2 * size) === 0 && size <= 128;
      kernels.selectBlockTopK(x, pairs ? { ...out, blocks: { size: 2 * size, kept: 2 * kept, place } } : out);
    },
  },
  'what equals the threshold dropped': {
    gatherNonZeros(x, out, threshold) {
      const above = threshold && threshold * (1 + 2 ** -20);
      kernels.gatherNonZeros(x, out, above);
    },
  },
  'a count that takes 0 for positive': {
    countPositiveAt: (at, x, start) =>
      kernels.countPositiveAt(at, { ...x, data: x.data.map((v) => (v === 0 ? 1 : v)) } as typeof x, start),
  },
  'a list that forgets NaN': {
    gatherPositiveAt: (at, x, out, outX) =>
      kernels.gatherPositiveAt(at, { ...x, data: x.data.map((v) => v || 0) } as typeof x, out, outX),
  },
  '-0 counted as a value': {
    countNonZeros(x, start) {
      const marked = { ...x, data: x.data.map((v) => (Object.is(v, -0) ? 1 : v)) } as typeof x;
      kernels.countNonZeros(marked, start);
    },
  },
  'an output that overruns by one': {
    transposeRows(a, out) {
      kernels.transposeRows(a, out);
      const { buffer, byteOffset, byteLength } = out.index.data;
      new Int32Array(buffer, byteOffset + byteLength, 1)[0] = 0;
    },
  },
  'an input that is written': {
    rmsNorm(x, weight, eps, out, rstd) {
      kernels.rmsNorm(x, weight, eps, out, rstd);
      x.data[0] += 1;
    },
  },
  'gradients of gates that a threshold closed': {
    gluBackward: (gateUp, dOut, activation, l1, dGateUp) => kernels.gluBackward(gateUp, dOut, activation, l1, dGateUp),
  },
  'a closed gate that gives -0': {
    glu(gateUp, activation, out, threshold) {
      kernels.glu(gateUp, activation, out, threshold);
      out.data.forEach((x, i) => {
        if (x === 0) out.data[i] = -0;
      });
    },
  },
  'a range of columns that begins at 0': {
    matmul: (a, b, out, options) =>
      kernels.matmul(a, b, out, { ...options, ...(options?.columns && { columns: { ...options.columns, first: 0 } }) }),
  },
  'a NaN gate that is closed': {
    countOpenGates(gates, hiddenDim, start) {
      kernels.countOpenGates({ ...gates, data: gates.data.map((x) => x || 0) } as typeof gates, hiddenDim, start);
    },
  },
  'sampled elements that miss the end of the row': {
    sampledMatmul(a, b, at, out) {
      const [m, k] = a.shape;
      const cut = (x: typeof a) => ({ ...x, data: x.data.map((v, i) => (i % k === k - 1 ? 0 : v)) }) as typeof a;
      kernels.sampledMatmul(m > 0 ? cut(a) : a, b, at, out);
    },
  },
  'gradients of gate and up that changed places': {
    gluRowsBackward(gate, up, dOut, activation, l1, out) {
      kernels.gluRowsBackward(gate, up, dOut, activation, l1, out);
      out.value.data.reverse();
    },
  },
  'attention that sees the future': {
    attentionCached: (qkv, items, kv, window, out) =>
      kernels.attentionCached(
        qkv,
        changedItems(items, START, (start) => start + 1),
        kv,
        window,
        out,
      ),
  },
  'a window that is one key too long': {
    attentionCached: (qkv, items, kv, window, out) =>
      kernels.attentionCached(qkv, items, kv, window === 0 ? 0 : window + 1, out),
  },
  'all sequences in one slot': {
    attentionCached: (qkv, items, kv, window, out) =>
      kernels.attentionCached(
        qkv,
        changedItems(items, SLOT, () => 0),
        kv,
        window,
        out,
      ),
  },
  'keys and values one position too late': {
    storeKv: (qkv, items, kv) =>
      kernels.storeKv(
        qkv,
        changedItems(items, START, (start) => start + 1),
        kv,
      ),
  },
  'values stored before they are rounded to nearest': {
    storeKv(qkv, items, kv) {
      kernels.storeKv(qkv, items, kv);
      if (kv.type === 'f16') kv.values.data[0] -= 1;
    },
  },
  'an embedding without its scale': {
    weightRows: (ids, w, out) =>
      kernels.weightRows(ids, { ...w, scale: w.scale && { ...w.scale, data: w.scale.data.map(() => 1) } }, out),
  },
  'attention that forgets the past': {
    attention: (qkv, out, logSumExp, shape) =>
      kernels.attention(qkv, out, logSumExp, { ...shape, seqLen: 1, batch: shape.batch * shape.seqLen }),
  },
  'attention that sees one token of the text before': {
    attention: (qkv, out, logSumExp, shape, firstKeys) =>
      kernels.attention(qkv, out, logSumExp, shape, firstKeys && oneEarlier(firstKeys)),
    attentionBackward: (qkv, out, logSumExp, dOut, dQkv, shape, firstKeys) =>
      kernels.attentionBackward(qkv, out, logSumExp, dOut, dQkv, shape, firstKeys && oneEarlier(firstKeys)),
  },
  'equal logits that go to the higher expert': {
    routeTokens(logits, kept, chosen, logSumExp) {
      const reversed = {
        ...logits,
        data: logits.data.map((x, i) => x + 1e-6 * (i % logits.shape[1])),
      } as typeof logits;
      kernels.routeTokens(reversed, kept, chosen, logSumExp);
      logits.data.set(reversed.data);
    },
  },
  'shares that are probabilities of all experts': {
    routeTokens(logits, kept, chosen, logSumExp) {
      kernels.routeTokens(logits, kept, chosen, logSumExp);
      const experts = logits.shape[1];
      chosen.value.data.forEach((_, i) => {
        chosen.value.data[i] = logits.data[Math.floor(i / kept) * experts + chosen.index.data[i]];
      });
    },
  },
  'a load balance that is not the gradient of a softmax': {
    routeTokensBackward(probabilities, chosen, logSumExp, dShare, balance, zScale, dLogits) {
      kernels.routeTokensBackward(probabilities, chosen, logSumExp, dShare, balance, zScale, dLogits);
      dLogits.data.forEach((_, i) => {
        dLogits.data[i] += balance.data[i % balance.data.length] * 1e-3;
      });
    },
  },
  'rows of a list in the order of the tokens': {
    gatherRows: (a, ids, out) => kernels.gatherRows(a, { ...ids, data: ids.data.toSorted() }, out),
  },
  'rows that are added with the scale of their neighbour': {
    addRowsAt: (x, scale, ids, out) =>
      kernels.addRowsAt(x, { ...scale, data: scale.data.toReversed() } as never, ids, out),
  },
  'no bias correction': {
    adamw: (p, g, m, v, options) => kernels.adamw(p, g, m, v, { ...options, step: 1_000_000 }),
  },
  'a divergence at another temperature': {
    softmaxDivergence: (logits, teacher, targets, divergences, options) =>
      kernels.softmaxDivergence(logits, teacher, targets, divergences, { ...options, temperature: 1.1 }),
  },
  'gradients left to another chance': {
    pruneByChance: (x, threshold, seed) => kernels.pruneByChance(x, threshold, seed - 1),
  },
  'moments in 8 bits of another step': {
    adamw8: (p, g, m, v, options) => kernels.adamw8(p, g, m, v, { ...options, step: options.step + 1 }),
  },
  'a gradient for targets of -1': {
    softmaxCrossEntropy(logits, targets, losses, scale) {
      const data = targets.data.map((target) => Math.max(target, 0));
      kernels.softmaxCrossEntropy(logits, { ...targets, data }, losses, scale);
    },
  },
  'a rotation by the position of another row': {
    rope: (x, positions, cos, sin, shape) =>
      kernels.rope(x, { ...positions, data: positions.data.toReversed() }, cos, sin, shape),
  },
  'lists whose start is not written at its first place': {
    selectTopK: (x, kept, out) => leavingOut(out.start.data, 0, () => kernels.selectTopK(x, kept, out)),
    selectInput: (x, norm, kept, out, quantized) =>
      leavingOut(out.start.data, 0, () => kernels.selectInput(x, norm, kept, out, quantized)),
    selectBlockTopK: (x, out) => leavingOut(out.start.data, 0, () => kernels.selectBlockTopK(x, out)),
    countNonZeros: (x, start, threshold) => leavingOut(start.data, 0, () => kernels.countNonZeros(x, start, threshold)),
    countPositiveAt: (at, x, start) => leavingOut(start.data, 0, () => kernels.countPositiveAt(at, x, start)),
    countOpenGates: (gates, hiddenDim, start) =>
      leavingOut(start.data, 0, () => kernels.countOpenGates(gates, hiddenDim, start)),
    transposeRows: (a, out) => leavingOut(out.start.data, 0, () => kernels.transposeRows(a, out)),
    gatherRows: (a, ids, out) => leavingOut(out.start.data, 0, () => kernels.gatherRows(a, ids, out)),
    routeTokens: (logits, kept, chosen, logSumExp) =>
      leavingOut(chosen.start.data, 0, () => kernels.routeTokens(logits, kept, chosen, logSumExp)),
  },
  'a gradient of a norm that forgets what the scale depends on': {
    rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, options) {
      const wanted = copyOf(dX);
      kernels.rmsNormBackward(all(x), weight, rstd, dOut, wanted, copyOf(dWeight), options);
      kernels.rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, options);
      dX.data.set(wanted.data);
    },
  },
  'hidden activations of the gate alone': {
    gluRows: (gate, up, activation, out) => kernels.gluRows(gate, all(up, 1), activation, out),
  },
  'open gates with the values of others': {
    gatherOpenGates(gates, out) {
      kernels.gatherOpenGates(gates, out);
      out.value.data.reverse();
    },
  },
  'a list that leaves what was there between its elements': {
    scatterRows(a, out) {
      const before = out.data.slice();
      kernels.scatterRows(a, out);
      out.data.forEach((x, i) => {
        if (x === 0) out.data[i] = before[i];
      });
    },
  },
  'columns that are counted from 0': {
    gatherAt: (x, _first, at, out) => kernels.gatherAt(x, 0, at, out),
    sumSquares: (x, partial, _first, count) => kernels.sumSquares(x, partial, 0, count),
  },
  'a mask that lets all through': {
    maskRows: (x, _at, out) => out.data.set(x.data),
  },
  'a re-scale to the norm 1': {
    rescaleRows: (a, norm) => kernels.rescaleRows({ ...a, cols: 1 }, norm),
  },
  'a gradient of the re-scale that forgets the norm': {
    rescaleRowsBackward: (a, norm, gradient) =>
      kernels.rescaleRowsBackward({ ...a, value: all(a.value) }, norm, gradient),
  },
  'magnitudes summed in f32': {
    sumAbs(x, partial, first, count) {
      kernels.sumAbs(x, partial, first, count);
      partial.data.set(partial.data.map(Math.fround));
    },
  },
  'embeddings of other tokens': {
    embedding: (ids, table, out) => kernels.embedding({ ...ids, data: ids.data.toReversed() }, table, out),
  },
  'a gradient of the embedding that replaces the one before': {
    embeddingBackward(ids, dOut, dTable) {
      dTable.data.fill(0);
      kernels.embeddingBackward(ids, dOut, dTable);
    },
  },
  'a sum without its second': {
    add: (a, b, out) => kernels.add(a, all(b), out),
  },
  'a transpose that replaces what it should add to': {
    transpose: (x, out, options) => kernels.transpose(x, out, { ...options, accumulate: false }),
  },
  'a factor of 11 bits': {
    scale: (x, factor) => kernels.scale(x, factor * (1 + 2 ** -11)),
  },
  'a copy without its end': {
    copy: (from, to) => leavingOut(to.data as Float32Array, to.data.length - 1, () => kernels.copy(from, to)),
  },
  'zeros in the place of a value': {
    fill: (x) => kernels.fill(x, 0),
  },
};

describe('the suite finds', () => {
  const cases = casesByKernel();
  for (const [fault, mutant] of Object.entries(MUTANTS)) {
    it(fault, { timeout: 30_000 }, () => {
      const reference = createReferenceBackend();
      for (const [kernel, call] of Object.entries(mutant) as [keyof Kernels, (...given: unknown[]) => void][]) {
        const thrown: unknown[] = [];
        const watched = (...given: unknown[]) => {
          try {
            call(...given);
          } catch (error) {
            thrown.push(error);
          }
        };
        const broken: Backend = { ...createReferenceBackend(), kernels: { ...kernels, [kernel]: watched } };
        const found = cases.get(kernel)?.some((testCase, i) => faultsOf(testCase, i, reference, [broken]).length > 0);
        expect(found, kernel).toBe(true);
        // A mutant that fails by itself says nothing about the cases.
        expect(thrown, kernel).toEqual([]);
      }
    });
  }

  it('a fault of every kernel', () => {
    const broken = new Set(Object.values(MUTANTS).flatMap((mutant) => Object.keys(mutant)));
    expect(Object.keys(kernels).filter((kernel) => !broken.has(kernel))).toEqual([]);
  });

  it('a result that depends on the number of threads', () => {
    const reference = createReferenceBackend();
    const second: Backend = {
      ...reference,
      threads: 2,
      kernels: {
        ...kernels,
        sumAbs(x, partial, first, count) {
          kernels.sumAbs(x, partial, first, count);
          partial.data[0] *= 1 + 2 ** -50;
        },
      },
    };
    const [testCase] = cases.get('sumAbs') ?? [];
    expect(faultsOf(testCase, 0, reference, [reference, reference])).toEqual([]);
    expect(faultsOf(testCase, 0, reference, [reference, second])[0]).toContain('2 threads against one');
  });
});
