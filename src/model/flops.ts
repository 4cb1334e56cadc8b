/**
 * Counts that follow from a configuration: parameters that are multiplied, parameters that sparsity activates, and the
 * operations of a dense step. What a sparse step really did is counted by the tape as it goes.
 *
 * An addition and a multiplication are two operations. Norms, softmax and the optimiser are left out, as is usual: beside the
 * products they are small.
 */

import { attentionFlops } from '../ops/attention.ts';
import { featuresAt, ffnsPerToken, type ModelConfig, outputsAt, POINTS, type Point, sparsityAt } from './config.ts';

/** Entries of the fused matrices that one token meets at one point of one layer: in a mixture, those of the experts that it is sent to. */
export function parametersAt(config: ModelConfig, point: Point): number {
  const isFfn = point === 'gateUp' || point === 'down';
  return featuresAt(config, point) * outputsAt(config, point) * (isFfn ? ffnsPerToken(config) : 1);
}

/** Parameters of the experts that one token is not sent to, in all layers: 0 without experts. */
export function unroutedParameters(config: ModelConfig): number {
  const { nExperts, nExpertsPerToken, nLayers, dim, hiddenDim } = config;
  return nLayers * (nExperts - nExpertsPerToken) * 3 * dim * hiddenDim;
}

/** The projections of all blocks that one token meets: what the paper calls N (no embedding, no head, no norms). */
export function blockParameters(config: ModelConfig): number {
  return config.nLayers * POINTS.reduce((sum, point) => sum + parametersAt(config, point), 0);
}

/** The blocks, their routers and the output head: every parameter that multiplies a token. */
export function matmulParameters(config: ModelConfig): number {
  const { dim, nLayers, nExperts, vocabSize } = config;
  return blockParameters(config) + nLayers * nExperts * dim + vocabSize * dim;
}

/** Share of zeros by point and layer. */
export type SparsityTable = Readonly<Record<Point, readonly number[]>>;

/** The sparsity that the configuration asks for; the natural zeros of a ReLU gate come on top. */
export function configuredSparsity(config: ModelConfig): Record<Point, number[]> {
  const at = (point: Point) => Array.from({ length: config.nLayers }, (_, layer) => sparsityAt(config, point, layer));
  return { qkv: at('qkv'), o: at('o'), gateUp: at('gateUp'), down: at('down') };
}

/** Parameters of the blocks that one token touches, on average: N (1 - S). */
export function activatedParameters(config: ModelConfig, sparsity: SparsityTable): number {
  let activated = 0;
  for (const point of POINTS) {
    for (const zeros of sparsity[point]) activated += (1 - zeros) * parametersAt(config, point);
  }
  return activated;
}

/** The parameter-weighted overall share of zero inputs: S of the scaling law. */
export function modelSparsity(config: ModelConfig, sparsity: SparsityTable): number {
  return 1 - activatedParameters(config, sparsity) / blockParameters(config);
}

export interface PassShape {
  batch: number;
  seqLen: number;
  /** Tokens that meet the head: those that have a target. All by default. */
  targets?: number;
}

/** Operations of a dense forward pass over batch x seqLen tokens, head included. */
export function denseForwardFlops(config: ModelConfig, shape: PassShape): number {
  const tokens = shape.batch * shape.seqLen;
  const withoutTarget = tokens - (shape.targets ?? tokens);
  const products = 2 * (matmulParameters(config) * tokens - config.vocabSize * config.dim * withoutTarget);
  return products + config.nLayers * attentionFlops({ ...config, ...shape });
}

/** Operations of a dense training step: three times the forward (6 per parameter and token, and attention). */
export function denseTrainingFlops(config: ModelConfig, shape: PassShape): number {
  return 3 * denseForwardFlops(config, shape);
}
