/**
 * The tape: runs ops forward, remembers them, runs them backward, and owns every buffer in between.
 *
 * Lifetime of a buffer: it has holders, and returns to the pool when the last one lets go. Holders are
 * - the scope in which it was taken: a block of the model forward (`scope`), one op backward. A scope lets go of
 *   everything at its end but the value that it returns, so ops free nothing themselves;
 * - the recorded op that named it in `keep`, until its backward is done;
 * - a gradient, until the op that produced the value has read it.
 * One buffer may be the gradient of two values (both sides of a residual addition): `exclusive` copies before writing.
 *
 * A tape is made for one forward (and backward) and then disposed of. With `recording: false` nothing is kept, and a
 * forward pass needs the memory of one block.
 */

import type { Kernels, Precision } from '../backend.ts';
import type { BlockRows, SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor, FloatType, IntTensor, Tensor } from '../tensor/tensor.ts';
import type { TensorPool } from '../tensor-pool.ts';
import { type Holder, holdingsOf } from './holdings.ts';
import type { Holding, Observer, SectionKind } from './observer.ts';
import type { Op, RootOutput } from './op.ts';
import { SectionPath } from './section-path.ts';
import { buffersOf, type Gradient, Value } from './value.ts';
import { ALL_SKIPS, type ZeroSkips } from './zero-skips.ts';

export interface TapeOptions {
  dtype: FloatType;
  recording: boolean;
  skips?: Partial<ZeroSkips>;
  /** Scopes keep only their input for the backward, which runs them forward once more. */
  recompute?: boolean;
  /** Of the products of projections and of the head, forward and backward; f32 by default. */
  precision?: Precision;
  observer?: Observer | undefined;
}

interface TapeNode extends Holder {
  backward(dOut: Gradient | null): void;
}

export class Tape {
  readonly kernels: Kernels;
  readonly dtype: FloatType;
  readonly skips: ZeroSkips;
  readonly precision: Precision;
  /** Floating-point operations of products and attention really done so far; skipped zeros are not counted. */
  flops = 0;

  readonly #pool: TensorPool;
  readonly #observer: Observer | null;
  /** Where the pass is; null where nobody asks. */
  readonly #path: SectionPath | null;
  readonly #holders = new Map<Tensor, number>();
  readonly #nodes: TapeNode[] = [];
  /** The op whose backward runs: no longer among the nodes, its buffers still held. */
  #running: TapeNode | null = null;
  readonly #recompute: boolean;
  #recording: boolean;
  #recomputing = false;
  #scope = new Set<Tensor>();

  constructor(kernels: Kernels, pool: TensorPool, options: TapeOptions) {
    this.kernels = kernels;
    this.#pool = pool;
    this.dtype = options.dtype;
    this.#recording = options.recording;
    this.precision = options.precision ?? 'f32';
    this.#recompute = options.recompute ?? false;
    this.skips = { ...ALL_SKIPS, ...options.skips };
    this.#observer = options.observer ?? null;
    this.#path = options.observer ? new SectionPath(options.observer) : null;
  }

  /** Will there be a backward pass of what is applied now? */
  get recording(): boolean {
    return this.#recording;
  }

  /** Is this the second forward pass of a scope, for its gradients? What counts once (losses, statistics) looks here. */
  get recomputing(): boolean {
    return this.#recomputing;
  }

  /** Runs an op forward and, when recording, remembers it for `backward`. */
  apply<Input, Saved, Output extends Value | RootOutput>(op: Op<Input, Saved, Output>, input: Input): Output {
    this.enter('op', op.name);
    const { output, saved, keep } = op.forward(this, input);
    if (this.#recording) {
      const kept = keep.flatMap((buffer) => ('rows' in buffer ? buffersOf({ dense: null, rows: buffer }) : [buffer]));
      for (const tensor of kept) this.#hold(tensor);
      const backward = (dOut: Gradient | null) =>
        op.backward(this, saved, dOut as Output extends Value ? Gradient : null);
      this.#nodes.push({ output, kept, sections: this.#path?.sections ?? [], backward });
    }
    this.exit();
    return output;
  }

  /** Runs `body` on x, which it takes over: afterwards only what was recorded and the value returned are left. */
  scope(x: Value, body: (x: Value) => Value): Value {
    if (!(this.#recompute && this.#recording)) return this.#inScope(x, body);
    const kept = buffersOf(x);
    for (const tensor of kept) this.#hold(tensor);
    this.#recording = false;
    const output = this.#inScope(x, body);
    this.#recording = true;
    const sections = this.#path?.sections ?? [];
    this.#nodes.push({ output, kept, sections, backward: (dOut) => this.#runAgain(x, body, dOut!) });
    return output;
  }

  /** Runs `body` as it ran before, recording it: its ops are the next that the backward pass finds. */
  #runAgain(x: Value, body: (x: Value) => Value, dOut: Gradient): void {
    this.#recording = true;
    this.#recomputing = true;
    this.#setGradient(body(x), dOut);
    this.#recomputing = false;
    this.#recording = false;
  }

  #inScope(x: Value, body: (x: Value) => Value): Value {
    const outer = this.#scope;
    this.#scope = new Set();
    for (const tensor of buffersOf(x)) {
      if (outer.delete(tensor)) this.#scope.add(tensor);
    }
    const result = body(x);
    for (const tensor of buffersOf(result)) {
      if (this.#scope.delete(tensor)) outer.add(tensor);
    }
    this.#endScope(outer);
    return result;
  }

  /** Runs `body`, a part of an op, and gives back at once what it takes: its result holds no buffer. */
  scratch<Result>(body: () => Result): Result {
    const outer = this.#scope;
    this.#scope = new Set();
    const result = body();
    this.#endScope(outer);
    return result;
  }

  /** Runs all recorded ops backward, newest first, and gives their buffers back as it goes. */
  backward(): void {
    this.#recording = false;
    const here = this.#path?.sections ?? [];
    for (let node = this.#nodes.pop(); node !== undefined; node = this.#nodes.pop()) {
      const output = node.output instanceof Value ? node.output : null;
      const dOut = output?.gradient ?? null;
      if (output === null || dOut !== null) {
        const outer = this.#scope;
        this.#scope = new Set();
        this.#running = node;
        this.#path?.moveTo(node.sections);
        node.backward(dOut);
        this.#running = null;
        this.#endScope(outer);
      }
      if (output !== null) this.#setGradient(output, null);
      for (const tensor of node.kept) this.#release(tensor);
    }
    this.#path?.moveTo(here);
  }

  /** Gives every buffer back, whoever holds it: the tape must not be used afterwards. */
  dispose(): void {
    for (const tensor of this.#holders.keys()) this.#pool.release(tensor);
    this.#holders.clear();
    this.#nodes.length = 0;
    this.#path?.moveTo([]);
  }

  // ---- sections -----------------------------------------------------------------------------------------------------

  /** Names what runs from here to `exit`, for the observer if there is one; see observer.ts. */
  enter(kind: SectionKind, name: string): void {
    this.#path?.enter(kind, name);
  }

  /** Leaves the section entered last. After an error `dispose` leaves all of them. */
  exit(): void {
    this.#path?.exit();
  }

  // ---- buffers ------------------------------------------------------------------------------------------------------

  /** A float buffer of this scope; the contents are undefined. */
  take(shape: readonly number[]): FloatTensor {
    return this.#own(this.#pool.take(this.dtype, shape));
  }

  /** An f64 buffer for exact partial sums. */
  takeSums(length: number): Tensor<'f64'> {
    return this.#own(this.#pool.take('f64', [length]));
  }

  takeInts(length: number): IntTensor {
    return this.#own(this.#pool.take('i32', [length]));
  }

  /** Room for `capacity` non-zeros of a matrix [rows, cols]; `start` may be given where it is already counted. */
  takeRows(rows: number, cols: number, capacity: number, start = this.takeInts(rows + 1)): SparseRows {
    return { rows, cols, start, index: this.takeInts(capacity), value: this.take([capacity]) };
  }

  /** Room for `kept` elements of each block of `size` columns. */
  takeBlockRows(rows: number, cols: number, kept: number, size: number): BlockRows {
    const capacity = rows * (cols / size) * kept;
    const place = this.#own(this.#pool.take('u8', [capacity]));
    return { ...this.takeRows(rows, cols, capacity), blocks: { size, kept, place } };
  }

  /** The tensor itself where nobody else holds it, else a copy: for changing a gradient in place. */
  exclusive(tensor: FloatTensor): FloatTensor {
    if (this.#holders.get(tensor) === 1) return tensor;
    const copy = this.take(tensor.shape);
    this.kernels.copy(tensor, copy);
    return copy;
  }

  /** The dense form of an activation or gradient: its own, or its list written out. */
  denseForm({ dense, rows }: { dense: FloatTensor | null; rows: SparseRows | null }): FloatTensor {
    if (dense !== null) return dense;
    const written = this.take([rows!.rows, rows!.cols]);
    this.kernels.scatterRows(rows!, written);
    return written;
  }

  // ---- gradients ----------------------------------------------------------------------------------------------------

  /** Adds `gradient` to that of `value`; as the first one it is taken as it is, without a copy. */
  addGradient(value: Value, gradient: Gradient): void {
    if (value.gradient === null) {
      this.#setGradient(value, gradient);
    } else {
      const { dense } = this.gradientTarget(value);
      this.kernels.add(dense, this.denseForm(gradient), dense);
    }
  }

  /** The buffer to which a kernel writes (first gradient of `value`) or adds (`accumulate`) a gradient. */
  gradientTarget(value: Value): { dense: FloatTensor; accumulate: boolean } {
    const accumulate = value.gradient !== null;
    const dense = value.gradient ? this.exclusive(this.denseForm(value.gradient)) : this.take(value.shape);
    this.#setGradient(value, { dense, rows: null });
    return { dense, accumulate };
  }

  #setGradient(value: Value, gradient: Gradient | null): void {
    const old = value.gradient;
    if (gradient) for (const tensor of buffersOf(gradient)) this.#hold(tensor);
    if (old) for (const tensor of buffersOf(old)) this.#release(tensor);
    value.gradient = gradient;
  }

  // ---- holders ------------------------------------------------------------------------------------------------------

  #own<T extends Tensor>(tensor: T): T {
    this.#hold(tensor);
    this.#scope.add(tensor);
    this.#observer?.took(this.#pool.liveBytes, () => this.#holdings());
    return tensor;
  }

  #hold(tensor: Tensor): void {
    this.#holders.set(tensor, (this.#holders.get(tensor) ?? 0) + 1);
  }

  #release(tensor: Tensor): void {
    const left = (this.#holders.get(tensor) ?? 0) - 1;
    if (left > 0) {
      this.#holders.set(tensor, left);
    } else {
      this.#holders.delete(tensor);
      this.#pool.release(tensor);
    }
  }

  #holdings(): Holding[] {
    const holders = this.#running ? [...this.#nodes, this.#running] : this.#nodes;
    return holdingsOf(holders, this.#holders.keys(), this.#path?.sections ?? []);
  }

  #endScope(outer: Set<Tensor>): void {
    for (const tensor of this.#scope) this.#release(tensor);
    this.#scope = outer;
  }
}
