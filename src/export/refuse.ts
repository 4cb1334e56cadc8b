/** What no format of another program can say about a model, and how a model is refused: one line with every reason. */

import { isRelu, type ModelConfig, rescales } from '../model/config.ts';
import { UsageError } from '../util/errors.ts';

/**
 * What an export knows about. A configuration with another field computes something that is not written here, and must not go out
 * as if it were.
 */
const KNOWN_FIELDS: Readonly<Record<keyof ModelConfig, true>> = {
  ...{ dim: true, hiddenDim: true, nLayers: true, nHeads: true, nKvHeads: true, headDim: true, vocabSize: true },
  ...{ seqLen: true, ropeTheta: true, slidingWindow: true, normEps: true, tiedEmbeddings: true, activation: true },
  ...{ sparsifier: true, sparsity: true, blockSize: true, thresholds: true, gradient: true, rescale: true },
  ...{ activationFormat: true, weightFormat: true, subNorms: true, hiddenL1: true, nExperts: true },
  ...{ nExpertsPerToken: true, routerLoadBalance: true, routerZLoss: true },
  ...{ ropeScaling: true, qkvBias: true, qkNorm: true },
};

/** Reasons that hold for every format. */
export function commonReasons(config: ModelConfig): string[] {
  const { sparsifier } = config;
  const reasons = Object.keys(config)
    .filter((field) => !Object.hasOwn(KNOWN_FIELDS, field))
    .map((field) => `the field ${field} of its configuration is unknown here`);
  if (rescales(config)) reasons.push('rescale l2: a model without it computes something else');
  if (isRelu(sparsifier)) {
    reasons.push(`sparsifier ${sparsifier}: its ReLUs are part of the function, which a dense model does not have`);
  }
  return reasons;
}

/** Throws UsageError with the reasons, where there are any. */
export function refuseFor(format: string, reasons: readonly string[], advice: string): void {
  if (reasons.length === 0) return;
  throw new UsageError('export', `the model cannot be written as ${format}: ${reasons.join('; ')}. ${advice}`);
}
