/** Throws ShapeError where the tiles of the attention kernels would not fit the scratch of a thread (attention.c, kv_cache.c). */

import { ShapeError } from '../../util/errors.ts';

const MAX_HEAD_DIM = 1024;

export function checkHeadDim(where: string, headDim: number): void {
  if (headDim > MAX_HEAD_DIM) {
    throw new ShapeError(where, `headDim must be at most ${MAX_HEAD_DIM}, got ${headDim}. Use more heads.`);
  }
}
