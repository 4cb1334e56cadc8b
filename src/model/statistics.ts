/**
 * StepStatistics: what a step really did, counted at the four points of every layer.
 *
 * Zeros are counted always (the lists know them), energy and dead channels only with `detail`, because they cost a pass.
 * Several calls of the model (gradient accumulation) add up in one object. In a mixture of experts `down` is counted over all of them.
 */

import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import { hasNaturalZeros } from '../ops/gated-hidden.ts';
import type { Routing } from '../ops/route-tokens.ts';
import { nonZeros } from '../tensor/sparse-rows.ts';
import { type FloatTensor, sizeOf, view } from '../tensor/tensor.ts';
import { type ModelConfig, POINTS, type Point } from './config.ts';
import { modelSparsity } from './flops.ts';

interface Counts {
  zeros: number;
  elements: number;
  energyKept: number;
  energy: number;
}

export class StepStatistics {
  readonly detail: boolean;
  /** Operations of products and attention really done, forward and backward. */
  flops = 0;
  /** Tokens with a target: those that meet the head. */
  targets = 0;
  /** Wall time; the head's gradients are made in the forward pass. */
  forwardMs = 0;
  backwardMs = 0;
  /** Of the forward pass of the teacher, where there is one. */
  teacherMs = 0;

  readonly #config: ModelConfig;
  readonly #counts: Record<Point, Counts[]>;
  /** By layer: 1 for each hidden channel, expert by expert, that was open for some token. */
  readonly #open: Uint8Array[];
  /** By layer, the passes of this step. */
  readonly #routings: Routing[][];

  constructor(config: ModelConfig, options: { detail?: boolean } = {}) {
    this.detail = options.detail ?? false;
    this.#config = config;
    const layers = () =>
      Array.from({ length: config.nLayers }, () => ({ zeros: 0, elements: 0, energyKept: 0, energy: 0 }));
    this.#counts = { qkv: layers(), o: layers(), gateUp: layers(), down: layers() };
    const channels = Math.max(1, config.nExperts) * config.hiddenDim;
    this.#open = Array.from({ length: config.nLayers }, () => new Uint8Array(channels));
    this.#routings = Array.from({ length: config.nLayers }, () => []);
  }

  /** Counts the input of one point, of one expert in a mixture, before (`x`) and after its selection. */
  observe(tape: Tape, point: Point, layer: number, x: Value, selected: Value, expert = 0): void {
    const counts = this.#counts[point][layer];
    counts.zeros += sizeOf(x.shape) - this.#nonZerosOf(tape, point, x, selected);
    counts.elements += sizeOf(x.shape);
    if (!this.detail) return;
    const kept = selected.rows ? view(selected.rows.value, [1, nonZeros(selected.rows)]) : null;
    const energyKept = kept && sumOfSquares(tape, kept);
    const energy = x.dense && sumOfSquares(tape, x.dense);
    counts.energy += energy ?? energyKept!;
    counts.energyKept += energyKept ?? energy!;
    const { hiddenDim } = this.#config;
    if (point === 'down') markOpen(selected, this.#open[layer].subarray(expert * hiddenDim, (expert + 1) * hiddenDim));
  }

  /** Takes what the router of a layer did in a pass. */
  observeRouting(layer: number, routing: Routing): void {
    this.#routings[layer].push(routing);
  }

  /** For those who want them: gate | up [N, 2 H], which are computed whole then. */
  observeGates?(layer: number, gateUp: FloatTensor): void;

  /** Share of zeros by point and layer. */
  sparsity(): Record<Point, number[]> {
    return this.#table(({ zeros, elements }) => zeros / Math.max(elements, 1));
  }

  /** Sum of squares after the selection over that before, by point and layer; 1 where nothing was measured. */
  energyKept(): Record<Point, number[]> {
    // The two sums are added in different orders: where all is kept, rounding may put the part above the whole.
    return this.#table(({ energyKept, energy }) => (energy > 0 ? Math.min(1, energyKept / energy) : 1));
  }

  /** Share of hidden channels that no token opened, by layer; needs `detail`. */
  deadChannels(): number[] {
    return this.#open.map((open) => 1 - open.reduce((sum, mark) => sum + mark, 0) / open.length);
  }

  /** Share of all choices that fell on each expert, by layer; no experts where there are none. */
  expertLoad(): number[][] {
    const { nExperts } = this.#config;
    return this.#routings.map((passes) =>
      Array.from({ length: nExperts }, (_, expert) => mean(passes.map(({ load }) => load[expert]))),
    );
  }

  /** Means over layers and passes, without coefficients: the load balance (1: all experts chosen alike) and z; 0 without experts. */
  routerTerms(): { loadBalance: number; z: number } {
    const passes = this.#routings.flat();
    return { loadBalance: mean(passes.map(({ loadBalance }) => loadBalance)), z: mean(passes.map(({ z }) => z)) };
  }

  /** The parameter-weighted overall share of zero inputs. */
  modelSparsity(): number {
    return modelSparsity(this.#config, this.sparsity());
  }

  /**
   * A count of features behind a ReLU gate keeps closed channels where fewer than `kept` are open: those multiply nothing. Every
   * other list holds non-zeros alone.
   */
  #nonZerosOf(tape: Tape, point: Point, x: Value, selected: Value): number {
    const { rows } = selected;
    const { activation, sparsifier } = this.#config;
    const isCounted = sparsifier === 'topk' || sparsifier === 'block';
    const isSelection = rows !== null && selected.dense === null && selected !== x;
    if (!(isSelection && isCounted && point === 'down' && hasNaturalZeros(activation))) return selected.nonZeros;
    const kept = nonZeros(rows) / rows.rows;
    const start = tape.takeInts(rows.rows + 1);
    tape.kernels.countNonZeros(view(rows.value, [rows.rows, kept]), start);
    return start.data[rows.rows];
  }

  #table(of: (counts: Counts) => number): Record<Point, number[]> {
    const table = { qkv: [], o: [], gateUp: [], down: [] } as Record<Point, number[]>;
    for (const point of POINTS) table[point] = this.#counts[point].map(of);
    return table;
  }
}

/** 0 of nothing. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
}

function sumOfSquares(tape: Tape, x: FloatTensor): number {
  const partial = tape.takeSums(x.shape[0]);
  tape.kernels.sumSquares(x, partial, 0, x.shape[1]);
  return partial.data.reduce((sum, value) => sum + value, 0);
}

function markOpen(hidden: Value, open: Uint8Array): void {
  if (hidden.rows) {
    const { index, value } = hidden.rows;
    const count = nonZeros(hidden.rows);
    for (let i = 0; i < count; i++) if (value.data[i] !== 0) open[index.data[i]] = 1;
  } else {
    const { data } = hidden.dense!;
    for (let i = 0; i < data.length; i++) if (data[i] !== 0) open[i % open.length] = 1;
  }
}
