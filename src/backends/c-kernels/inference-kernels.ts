/** What only inference needs: rows of stored weights, and keys and values in a cache. */

import type { Kernels } from '../../backend.ts';
import { KV_ITEM_COLUMNS, type KvItems, type KvSlots, type KvType } from '../../tensor/kv-slots.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import type { Call } from './call.ts';
import { checkHeadDim } from './check-head-dim.ts';
import { WEIGHT_CODES } from './weight-kernels.ts';

const KV_CODES: Readonly<Record<KvType, number>> = { f32: 0, f16: 1, int8: 2 };

export function inferenceKernels(call: Call): Pick<Kernels, 'weightRows' | 'storeKv' | 'attentionCached'> {
  const cached = (
    kernel: 'store_kv' | 'attention_cached',
    work: number,
    qkv: Tensor<'f32'>,
    items: KvItems,
    { type, keys, values, keyScale, valueScale, positions, nKvHeads, headDim }: KvSlots,
    out: number,
    window: number,
  ) => {
    checkHeadDim(kernel, headDim);
    const nHeads = columnsOf(qkv) / headDim - 2 * nKvHeads;
    call(
      kernel,
      work,
      qkv.address,
      items.address,
      keys.address,
      values.address,
      keyScale?.address ?? 0,
      valueScale?.address ?? 0,
      items.shape[0],
      positions,
      nHeads,
      nKvHeads,
      headDim,
      KV_CODES[type],
      out,
      window,
    );
  };
  return {
    weightRows(ids, w, out) {
      const rows = elementsOf(ids);
      const scale = w.scale?.address ?? 0;
      const code = WEIGHT_CODES[w.dtype];
      call(
        'weight_rows',
        8 * rows * w.cols,
        ids.address,
        w.data.address,
        w.rowBytes,
        scale,
        code,
        out.address,
        rows,
        w.cols,
      );
    },
    storeKv(qkv, items, kv) {
      cached('store_kv', 8 * rowsOf(qkv) * kv.nKvHeads * kv.headDim, qkv, items, kv, 0, 0);
    },
    attentionCached(qkv, items, kv, window, out) {
      cached(
        'attention_cached',
        4 * columnsOf(out) * positionsSeen(items, window),
        qkv,
        items,
        kv,
        out.address,
        window,
      );
    },
  };
}

/** Keys that the rows of all items meet, all rows together; about. */
function positionsSeen({ data, shape }: KvItems, window: number): number {
  let seen = 0;
  for (let item = 0; item < shape[0]; item++) {
    const rows = data[item * KV_ITEM_COLUMNS + 1];
    const length = data[item * KV_ITEM_COLUMNS + 2] + rows;
    seen += rows * (window === 0 ? length : Math.min(length, window));
  }
  return seen;
}
