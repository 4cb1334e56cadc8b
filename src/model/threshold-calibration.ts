/**
 * Thresholds from a text: at each point of each layer the magnitude below which a wanted share of the inputs of a dense model lies, and the
 * same of the activations of its gates.
 *
 * The magnitudes are counted in a histogram over the leading bits of the floats, which costs one pass and 256 KiB a point whatever the
 * length of the text; inside of a bucket (0.4 % wide) they are taken as evenly spread. Zeros of ReLU gates count: where they are the wanted
 * share already, the threshold is 0. Which share each point gets is decided elsewhere (greedy-allocation.ts).
 * Sources: TEAL (arXiv 2408.14690) for the points, CATS (arXiv 2404.08763) for the gates.
 */

import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import type { Activation } from '../backend.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { UsageError } from '../util/errors.ts';
import { isRelu, type ModelConfig, type Point, THRESHOLD_PLACES, type ThresholdPlace } from './config.ts';
import { StepStatistics } from './statistics.ts';

/** 16 of the 31 bits of a magnitude: its exponent and 8 bits behind. */
const DROPPED_BITS = 15;
const BUCKETS = 2 ** (31 - DROPPED_BITS);
const INFINITY_BITS = 0x7f800000;

/** Watches passes of a dense f32 model (`withoutSparsifier`) as the statistics of a pass; then gives the thresholds. */
export class ThresholdCalibration extends StepStatistics {
  readonly #config: ModelConfig;
  readonly #histograms: Record<ThresholdPlace, Uint32Array[]>;

  constructor(config: ModelConfig) {
    super(config);
    this.#config = config;
    const layers = () => Array.from({ length: config.nLayers }, () => new Uint32Array(BUCKETS));
    this.#histograms = { qkv: layers(), o: layers(), gateUp: layers(), down: layers(), gate: layers() };
  }

  override observe(tape: Tape, point: Point, layer: number, x: Value, selected: Value): void {
    super.observe(tape, point, layer, x, selected);
    count(tape.denseForm(x).data, this.#histograms[point][layer]);
  }

  override observeGates(layer: number, gateUp: FloatTensor): void {
    const { hiddenDim, activation } = this.#config;
    const row = new Float32Array(hiddenDim);
    for (let first = 0; first < gateUp.data.length; first += 2 * hiddenDim) {
      for (let i = 0; i < hiddenDim; i++) row[i] = activated(gateUp.data[first + i], activation);
      count(row, this.#histograms.gate[layer]);
    }
  }

  /** For these shares of zeros, 0 .. 1; 0 for points without one. Throws UsageError before the first pass, and for NaN or infinities. */
  thresholds(shares: Partial<Record<ThresholdPlace, number>>): Record<ThresholdPlace, number[]> {
    const at = (place: ThresholdPlace) =>
      Array.from({ length: this.#config.nLayers }, (_, layer) => this.threshold(place, layer, shares[place] ?? 0));
    return Object.fromEntries(THRESHOLD_PLACES.map((place) => [place, at(place)])) as Record<ThresholdPlace, number[]>;
  }

  /** That of one place of one layer. */
  threshold(place: ThresholdPlace, layer: number, share: number): number {
    return share === 0 ? 0 : quantile(this.#histograms[place][layer], share, `${place} of layer ${layer}`);
  }
}

/** The same model with every input kept: the one to calibrate on, and a teacher. ReLUs in front of projections stay: without them it would be another function. */
export function withoutSparsifier(config: ModelConfig): ModelConfig {
  if (isRelu(config.sparsifier)) return config;
  const none = { qkv: 0, o: 0, gateUp: 0, down: 0 };
  return { ...config, sparsifier: 'none', sparsity: none, thresholds: { ...none, gate: 0 } };
}

/** act(gate), as the forward pass computes it up to rounding. */
function activated(gate: number, activation: Activation): number {
  if (activation === 'silu') return gate / (1 + Math.exp(-gate));
  if (!(gate > 0)) return gate <= 0 ? 0 : gate;
  return activation === 'relu2' ? gate * gate : gate;
}

function count(data: FloatTensor['data'], histogram: Uint32Array): void {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  for (let i = 0; i < bits.length; i++) histogram[(bits[i] & 0x7fffffff) >>> DROPPED_BITS]++;
}

function quantile(histogram: Uint32Array, share: number, where: string): number {
  const total = histogram.reduce((sum, inBucket) => sum + inBucket, 0);
  if (total === 0) throw new UsageError('calibrate', 'there is no text to measure: expected at least 1 token.');
  const firstInfinite = INFINITY_BITS >>> DROPPED_BITS;
  if (histogram.subarray(firstInfinite).some((inBucket) => inBucket > 0)) {
    throw new UsageError('calibrate', `what is measured at ${where} is not finite: this model cannot be calibrated.`);
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
