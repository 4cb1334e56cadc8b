/**
 * The reference backend: every kernel as plain loops over the formula, sums in f64, f32 and f64 tensors alike.
 *
 * It is the oracle of the conformance suite and the ground of the finite differences; it is never optimised. One file per
 * family.
 */

import type { Backend, Kernels } from '../../backend.ts';
import type { DType } from '../../tensor/tensor.ts';
import { newData } from '../../tensor/view-of.ts';
import { checkKernels } from '../check-kernels.ts';
import { adamw } from './adamw.ts';
import { adamw8 } from './adamw8.ts';
import { attention, attentionBackward } from './attention.ts';
import { selectBlockTopK } from './block-top-k.ts';
import { softmaxCrossEntropy } from './cross-entropy.ts';
import { embedding, embeddingBackward } from './embedding.ts';
import { countOpenGates, gatherOpenGates, glu, gluBackward, gluRows, gluRowsBackward } from './glu.ts';
import { attentionCached, storeKv } from './kv-cache.ts';
import { matmul } from './matmul.ts';
import { addRowsAt, routeTokens, routeTokensBackward } from './mixture.ts';
import { pruneByChance } from './prune-by-chance.ts';
import { fakeQuantizeRows, quantizeRows, ternarize } from './quantize.ts';
import { add, copy, fill, scale, sumAbs, sumSquares, transpose } from './reduce.ts';
import { rmsNorm, rmsNormBackward, rmsNormRows, rmsNormRowsBackward } from './rms-norm.ts';
import { rope } from './rope.ts';
import {
  countNonZeros,
  countPositiveAt,
  gatherAt,
  gatherNonZeros,
  gatherPositiveAt,
  gatherRows,
  maskRows,
  rescaleRows,
  rescaleRowsBackward,
  scatterRows,
  transposeRows,
} from './rows.ts';
import { sampledMatmul } from './sampled-matmul.ts';
import { selectInput } from './select-input.ts';
import { softmaxDivergence } from './softmax-divergence.ts';
import { sparseMatmul } from './sparse-matmul.ts';
import { selectTopK } from './top-k.ts';
import { weightRows } from './weight-rows.ts';
import { weightDots, weightMatmul, weightMatvec } from './weights.ts';

/** The kernels without any check; `createReferenceBackend` gives them with. */
const REFERENCE_KERNELS: Kernels = {
  ...{ matmul, sparseMatmul, sampledMatmul },
  ...{ weightMatvec, weightMatmul, weightDots, weightRows, quantizeRows },
  ...{ selectTopK, selectInput, selectBlockTopK, countNonZeros, gatherNonZeros, countPositiveAt, gatherPositiveAt },
  ...{ transposeRows, scatterRows, gatherAt, maskRows },
  ...{ rescaleRows, rescaleRowsBackward, fakeQuantizeRows, ternarize },
  ...{
    rmsNorm,
    rmsNormBackward,
    rmsNormRows,
    rmsNormRowsBackward,
    rope,
    attention,
    attentionBackward,
    storeKv,
    attentionCached,
  },
  ...{ glu, gluBackward, countOpenGates, gatherOpenGates, gluRows, gluRowsBackward },
  ...{ routeTokens, routeTokensBackward, gatherRows, addRowsAt },
  ...{ embedding, embeddingBackward, softmaxCrossEntropy, softmaxDivergence, pruneByChance, adamw, adamw8 },
  ...{ sumSquares, sumAbs, add, transpose, scale, copy, fill },
};

/** A backend over JavaScript's own memory: one thread, shapes checked, nothing to free. `debug` scans inputs for NaN. */
export function createReferenceBackend(options: { debug?: boolean } = {}): Backend {
  return {
    name: 'reference',
    description: 'reference: plain TypeScript, 1 thread',
    threads: 1,
    bf16: false,
    kernels: checkKernels(REFERENCE_KERNELS, options),
    allocate<D extends DType>(dtype: D, length: number) {
      return { data: newData(dtype, length), address: 0 };
    },
    free() {},
    dispose() {},
  };
}
