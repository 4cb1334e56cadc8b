/** A trained or packed model, or one of another program, from the disk as an inference bench runs it. */

import type { Backend } from '../../backend.ts';
import { type BenchWeights, blockBytes } from '../../bench/bench-weights.ts';
import { openModel } from '../../import/open-model.ts';
import type { LoadedModel } from '../../model/load-model.ts';
import { isByChannel } from '../../model/weights.ts';
import { UsageError } from '../../util/errors.ts';

/**
 * `twinPath` is the same model with gate and up fused, for the dense twin of one that is packed by channel. Throws as openModel, and UsageError where that is missing, is not needed, or
 * is another model.
 */
export function openBenchWeights(path: string, twinPath: string | undefined, backend: Backend): BenchWeights {
  const model = openModel(path, backend);
  try {
    if (isByChannel(model.weights)) return withTwin(model, twinPath, backend);
    if (twinPath === undefined) return benchWeights(model, model);
    throw new UsageError('--dense-twin', `${path} has gate and up fused: dense is measured on itself. Leave it out.`);
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function withTwin(model: LoadedModel, twinPath: string | undefined, backend: Backend): BenchWeights {
  if (twinPath === undefined) {
    const why = `${model.path} is packed by channel, and dense is measured with gate and up fused`;
    throw new UsageError('bench', `${why}: pack the model with --layout fused too, and name that with --dense-twin.`);
  }
  const twin = openModel(twinPath, backend);
  if (!isByChannel(twin.weights) && JSON.stringify(twin.config) === JSON.stringify(model.config)) {
    return benchWeights(model, twin);
  }
  twin.dispose();
  throw new UsageError(
    '--dense-twin',
    `${twinPath} is not the model of ${model.path} with gate and up fused. Pack that with --layout fused.`,
  );
}

function benchWeights(model: LoadedModel, twin: LoadedModel): BenchWeights {
  const { path, config, weights, dtypes, bytes } = model;
  const [dtype] = dtypes.projections.length === 1 ? dtypes.projections : ['mixed' as const];
  return {
    name: path,
    config,
    dtype,
    dense: twin.weights,
    sparse: weights,
    trained: true,
    closedGates: null,
    bytes: { dense: twin.bytes, sparse: bytes },
    blockBytes: blockBytes(config, twin.weights),
    dispose: () => {
      model.dispose();
      if (twin !== model) twin.dispose();
    },
  };
}
