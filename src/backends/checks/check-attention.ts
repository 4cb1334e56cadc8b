/** The part of check-kernels.ts that is about attention, in training and over the cache. */

import type { AttentionShape, Kernels } from '../../backend.ts';
import type { IntTensor, Tensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import { expectInReach, expectKvCall } from './expect-kv.ts';
import { expectApart, expectHeads, expectMatrix, expectSize, floatTypeOf, mismatch } from './expect-shape.ts';

function expectAttention(
  op: string,
  { qkv, out, logSumExp }: { qkv: Tensor; out: Tensor; logSumExp: Tensor },
  shape: AttentionShape,
  firstKeys: IntTensor | null,
) {
  const { batch, seqLen, nHeads, nKvHeads, headDim } = shape;
  const type = floatTypeOf(op, 'qkv', qkv);
  const rows = batch * seqLen;
  expectHeads(op, shape);
  expectMatrix(op, 'qkv', qkv, type, rows, (nHeads + 2 * nKvHeads) * headDim);
  expectMatrix(op, 'out', out, type, rows, nHeads * headDim);
  expectMatrix(op, 'logSumExp', logSumExp, type, rows, nHeads);
  if (firstKeys !== null) expectFirstKeys(op, firstKeys, rows, seqLen);
  return type;
}

/** A token that sees not even itself would have no softmax. */
function expectFirstKeys(op: string, firstKeys: IntTensor, rows: number, seqLen: number): void {
  expectSize(op, 'firstKeys', firstKeys, 'i32', rows);
  for (let row = 0; row < rows; row++) {
    const [first, index] = [firstKeys.data[row], row % seqLen];
    if (!(first >= 0 && first <= index)) mismatch(op, `firstKeys[${row}]`, `0 .. ${index}`, first);
  }
}

export function checkAttention(inner: Kernels) {
  return {
    attention(qkv, out, logSumExp, shape, firstKeys = null) {
      expectAttention('attention', { qkv, out, logSumExp }, shape, firstKeys);
      expectApart('attention', 'out', out, 'qkv', qkv);
      inner.attention(qkv, out, logSumExp, shape, firstKeys);
    },
    attentionBackward(qkv, out, logSumExp, dOut, dQkv, shape, firstKeys = null) {
      const op = 'attentionBackward';
      const type = expectAttention(op, { qkv, out, logSumExp }, shape, firstKeys);
      expectMatrix(op, 'dOut', dOut, type, rowsOf(out), columnsOf(out));
      expectMatrix(op, 'dQkv', dQkv, type, rowsOf(qkv), columnsOf(qkv));
      expectApart(op, 'dQkv', dQkv, 'qkv', qkv);
      inner.attentionBackward(qkv, out, logSumExp, dOut, dQkv, shape, firstKeys);
    },
    storeKv(qkv, items, kv) {
      expectKvCall('storeKv', qkv, items, kv);
      inner.storeKv(qkv, items, kv);
    },
    attentionCached(qkv, items, kv, window, out) {
      const op = 'attentionCached';
      const nHeads = expectKvCall(op, qkv, items, kv);
      expectInReach(op, items, kv, window);
      expectMatrix(op, 'out', out, 'f32', rowsOf(qkv), nHeads * kv.headDim);
      expectApart(op, 'out', out, 'qkv', qkv);
      inner.attentionCached(qkv, items, kv, window, out);
    },
  } satisfies Partial<Kernels>;
}
