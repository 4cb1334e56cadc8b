/** A trained or packed model, or one of another program, from the disk as an inference bench runs it. */

import type { Backend } from '../../backend.ts';
import { type BenchWeights, blockBytes } from '../../bench/bench-weights.ts';
import { openModel } from '../../import/open-model.ts';

/** Throws as openModel. */
export function openBenchWeights(path: string, backend: Backend): BenchWeights {
  const { config, weights, dtypes, bytes, dispose } = openModel(path, backend);
  const [dtype] = dtypes.projections.length === 1 ? dtypes.projections : ['mixed' as const];
  return {
    name: path,
    config,
    dtype,
    dense: weights,
    sparse: weights,
    trained: true,
    closedGates: null,
    bytes: { dense: bytes, sparse: bytes },
    blockBytes: blockBytes(config, weights),
    dispose,
  };
}
