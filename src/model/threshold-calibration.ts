/**
 * Thresholds from a text: at each point of each layer the magnitude below which a wanted share of the inputs of a dense model lies.
 *
 * The magnitudes are counted in a histogram over the leading bits of the floats, which costs one pass and 256 KiB a point whatever the
 * length of the text; inside of a bucket (0.4 % wide) they are taken as evenly spread. Zeros of ReLU gates count: where they are the wanted
 * share already, the threshold is 0. All points and layers get the same share; the greedy search for better ones is not done here.
 * Source: TEAL (arXiv 2408.14690), section 4.
 */

import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { UsageError } from '../util/errors.ts';
import { type ModelConfig, POINTS, type Point } from './config.ts';
import { StepStatistics } from './statistics.ts';

/** 16 of the 31 bits of a magnitude: its exponent and 8 bits behind. */
const DROPPED_BITS = 15;
const BUCKETS = 2 ** (31 - DROPPED_BITS);
const INFINITY_BITS = 0x7f800000;

/** Watches passes of a dense f32 model (`withoutSparsifier`) as the statistics of a pass; then gives the thresholds. */
export class ThresholdCalibration extends StepStatistics {
  readonly #nLayers: number;
  readonly #histograms: Record<Point, Uint32Array[]>;

  constructor(config: ModelConfig) {
    super(config);
    this.#nLayers = config.nLayers;
    const layers = () => Array.from({ length: config.nLayers }, () => new Uint32Array(BUCKETS));
    this.#histograms = { qkv: layers(), o: layers(), gateUp: layers(), down: layers() };
  }

  override observe(tape: Tape, point: Point, layer: number, x: Value, selected: Value): void {
    super.observe(tape, point, layer, x, selected);
    count(tape.denseForm(x), this.#histograms[point][layer]);
  }

  /** For these shares of zeros, 0 .. 1; 0 for points without one. Throws UsageError before the first pass, and for NaN or infinities. */
  thresholds(shares: Partial<Record<Point, number>>): Record<Point, number[]> {
    const at = (point: Point) =>
      Array.from({ length: this.#nLayers }, (_, layer) => {
        const share = shares[point] ?? 0;
        return share === 0 ? 0 : quantile(this.#histograms[point][layer], share, `${point} of layer ${layer}`);
      });
    return Object.fromEntries(POINTS.map((point) => [point, at(point)])) as Record<Point, number[]>;
  }
}

/** The same model with every input kept: the one to calibrate on. */
export function withoutSparsifier(config: ModelConfig): ModelConfig {
  const none = { qkv: 0, o: 0, gateUp: 0, down: 0 };
  return { ...config, sparsifier: 'none', sparsity: none, thresholds: none };
}

function count({ data }: FloatTensor, histogram: Uint32Array): void {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  for (let i = 0; i < bits.length; i++) histogram[(bits[i] & 0x7fffffff) >>> DROPPED_BITS]++;
}

function quantile(histogram: Uint32Array, share: number, where: string): number {
  const total = histogram.reduce((sum, inBucket) => sum + inBucket, 0);
  if (total === 0) throw new UsageError('calibrate', 'there is no text to measure: expected at least 1 token.');
  const firstInfinite = INFINITY_BITS >>> DROPPED_BITS;
  if (histogram.subarray(firstInfinite).some((inBucket) => inBucket > 0)) {
    throw new UsageError('calibrate', `the input of ${where} is not finite: this model cannot be calibrated.`);
  }
  let below = 0;
  let bucket = 0;
  while (below + histogram[bucket] < share * total) below += histogram[bucket++];
  // Zeros, and what is as good as zero.
  if (bucket === 0) return 0;
  const [low, high] = [bucket, bucket + 1].map(lowest);
  return Math.fround(low + ((high - low) * (share * total - below)) / histogram[bucket]);
}

/** The smallest magnitude of a bucket. */
function lowest(bucket: number): number {
  const bits = new Uint32Array([bucket << DROPPED_BITS]);
  return new Float32Array(bits.buffer)[0];
}
