/**
 * Projector: the input of a projection selected, in the form that its weights take, and multiplied.
 *
 * The rule of the mask is that of training (ops/sparsify.ts): per token, no look at other tokens; behind a ReLU gate the natural zeros, and
 * the largest only where more are left. f32 and bf16 weights take the values, int8 and ternary ones 8 bits of them, quantised after the
 * selection (a rule by magnitude keeps the largest, so that the scale is that of the whole row). A model that was trained with 8-bit
 * activations gets them in front of f32 and bf16 weights too, as rounded values. How a product runs is decided by
 * product-plan.ts.
 */

import type { Kernels, RowNorm } from '../backend.ts';
import { hasGateThresholds, type ModelConfig, type Point } from '../model/config.ts';
import { mostKept } from '../model/selection-rule.ts';
import type { SelectionRule } from '../ops/sparsify.ts';
import { density, type SparseRows } from '../tensor/sparse-rows.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { isQuantized, type WeightMatrix, type WeightType } from '../tensor/weight-matrix.ts';
import { planProduct } from './product-plan.ts';
import type { PointInput, WorkspaceRows } from './workspace.ts';
import type { ZeroCounts } from './zero-counts.ts';

/** What a product does with its output: constants, so that a call allocates no options. */
export const OVERWRITE = { accumulate: false } as const;
export const ADD = { accumulate: true } as const;

export class Projector {
  readonly #kernels: Kernels;
  readonly #statistics: ZeroCounts;
  readonly #gated: boolean;
  readonly #rescale: ModelConfig['rescale'];
  readonly #rounded: boolean;
  readonly #skipNaturalZeros: boolean;

  constructor(config: ModelConfig, kernels: Kernels, statistics: ZeroCounts, skipNaturalZeros: boolean) {
    this.#kernels = kernels;
    this.#statistics = statistics;
    this.#gated = config.activation !== 'silu' || hasGateThresholds(config);
    this.#rescale = config.rescale;
    this.#rounded = config.activationFormat === 'int8';
    this.#skipNaturalZeros = skipNaturalZeros;
  }

  /**
   * out = (or +=) what a point keeps of x, or of its norm where there is one, times w. Where the largest are multiplied as they are, norm, selection
   * and rounding are one pass over each row. x may be overwritten where there is no norm; with one it stays, and `normed` of the rows may be written.
   */
  project(
    rows: WorkspaceRows,
    layer: number,
    point: Point,
    rule: SelectionRule,
    x: Tensor<'f32'>,
    norm: RowNorm | null,
    w: WeightMatrix,
    out: Tensor<'f32'>,
    mode: { readonly accumulate: boolean },
  ): void {
    const input = rows.inputs[point];
    const { list } = input;
    if (rule.keeps === 'largest' && this.#isPlain(point, w.dtype)) {
      const { kernel, skipsZeros } = planProduct(w.dtype, rows.count, rule.kept / list.cols);
      if (skipsZeros) {
        const rounded = isQuantized(w.dtype) ? input.quantizedList : null;
        this.#kernels.selectInput(x, norm, rule.kept, list, rounded);
        this.#statistics.add(point, layer, rows, rule.kept);
        this.#kernels[kernel](rounded ?? list, w, out, mode);
        return;
      }
    }
    if (norm) this.#kernels.rmsNorm(x, norm.weight, norm.eps, rows.normed, rows.rstd);
    const whole = norm ? rows.normed : x;
    this.multiply(input, this.select(rows, layer, point, rule, whole, w.dtype), whole, w, out, mode);
  }

  /** Nothing happens between selection and product but the rounding that the weights ask for. */
  #isPlain(point: Point, dtype: WeightType): boolean {
    const behindGates = point === 'down' && this.#gated;
    return !behindGates && this.#rescale[point] === 'none' && (!this.#rounded || isQuantized(dtype));
  }

  /**
   * The list of what a point keeps of x [N, features], counted, re-scaled and rounded where the model does that; null where it keeps x as it is,
   * or where listing natural zeros would not pay before weights of this type. x may be overwritten: with what is kept, or rounded.
   */
  select(
    rows: WorkspaceRows,
    layer: number,
    point: Point,
    rule: SelectionRule,
    x: Tensor<'f32'>,
    dtype: WeightType,
  ): SparseRows | null {
    const { list } = rows.inputs[point];
    const behindGates = point === 'down' && this.#gated;
    if (rule.keeps === 'all' && this.#rescale[point] === 'none' && !(behindGates && this.#skipNaturalZeros)) {
      this.#statistics.add(point, layer, rows, list.cols);
      return this.#finish(rows, point, null, x, dtype);
    }
    if (behindGates && (rule.keeps === 'all' || rule.keeps === 'largest')) {
      return this.#selectBehindGates(rows, layer, mostKept(rule, list.cols), x, dtype);
    }
    const selected = this.#list(rule, x, rows.inputs[point]);
    // Of a block of hidden activations fewer may be open than it keeps.
    const left = behindGates && rule.keeps === 'largestOfBlocks' ? this.#withoutZeros(list, x) : selected;
    this.#statistics.addListed(point, layer, rows, left.start);
    return this.#finish(rows, point, left, x, dtype);
  }

  #list(rule: SelectionRule, x: Tensor<'f32'>, { list, listOfBlocks }: PointInput): SparseRows {
    const kernels = this.#kernels;
    switch (rule.keeps) {
      case 'all':
        kernels.selectTopK(x, list.cols, list);
        return list;
      case 'largest':
        kernels.selectTopK(x, rule.kept, list);
        return list;
      case 'largestOfBlocks': {
        const blocks = listOfBlocks(rule.blockSize, rule.kept);
        kernels.selectBlockTopK(x, blocks);
        return blocks;
      }
      case 'positive':
        kernels.countOpenGates(x, list.cols, list.start);
        kernels.gatherOpenGates(x, list);
        return list;
      case 'reaching':
        kernels.countNonZeros(x, list.start, rule.threshold);
        kernels.gatherNonZeros(x, list, rule.threshold);
        return list;
    }
  }

  /** The list [N, features] anew, by way of x. */
  #withoutZeros(list: SparseRows, x: Tensor<'f32'>): SparseRows {
    this.#kernels.scatterRows(list, x);
    this.#kernels.countNonZeros(x, list.start);
    this.#kernels.gatherNonZeros(x, list);
    return list;
  }

  #selectBehindGates(
    rows: WorkspaceRows,
    layer: number,
    kept: number,
    x: Tensor<'f32'>,
    dtype: WeightType,
  ): SparseRows | null {
    const { list } = rows.inputs.down;
    this.#kernels.countNonZeros(x, list.start);
    this.#statistics.addListed('down', layer, rows, list.start, kept);
    if (hasRowAbove(list, kept)) {
      this.#kernels.selectTopK(x, kept, list);
    } else {
      const pays = planProduct(dtype, rows.count, density(list)).skipsZeros;
      if (!pays && this.#rescale.down === 'none') return this.#finish(rows, 'down', null, x, dtype);
      this.#kernels.gatherNonZeros(x, list);
    }
    return this.#finish(rows, 'down', list, x, dtype);
  }

  /** The same of hidden activations that are a list already: those of open channels. Takes x [N, H] as scratch. */
  selectListed(
    rows: WorkspaceRows,
    layer: number,
    rule: SelectionRule,
    hidden: SparseRows,
    x: Tensor<'f32'>,
    dtype: WeightType,
  ): SparseRows {
    const isWhole = rule.keeps === 'all' || (rule.keeps === 'largest' && !hasRowAbove(hidden, rule.kept));
    if (isWhole) {
      this.#statistics.addListed('down', layer, rows, hidden.start);
      return this.#finish(rows, 'down', hidden, x, dtype);
    }
    this.#kernels.scatterRows(hidden, x);
    return this.select(rows, layer, 'down', rule, x, dtype)!;
  }

  /** Re-scales what is listed, and rounds it, or x where nothing is listed, to the 8 bits that float weights leave undone; both in place. */
  #finish<L extends SparseRows | null>(
    rows: WorkspaceRows,
    point: Point,
    list: L,
    x: Tensor<'f32'>,
    dtype: WeightType,
  ): L {
    if (list !== null && this.#rescale[point] === 'l2') this.#kernels.rescaleRows(list, rows.norm);
    if (this.#rounded && !isQuantized(dtype)) this.#kernels.fakeQuantizeRows(list ?? x, list?.value ?? x);
    return list;
  }

  /**
   * out = (or +=) the listed features times w, or x times w where nothing is listed. x is overwritten with the list where the product runs
   * dense.
   */
  multiply(
    input: PointInput,
    list: SparseRows | null,
    x: Tensor<'f32'>,
    w: WeightMatrix,
    out: Tensor<'f32'>,
    mode: { readonly accumulate: boolean },
  ): void {
    const { kernel, skipsZeros } = planProduct(w.dtype, input.list.rows, list === null ? 1 : density(list));
    if (list !== null && skipsZeros) {
      if (isQuantized(w.dtype)) this.#kernels.quantizeRows(list, input.quantizedList);
      this.#kernels[kernel](isQuantized(w.dtype) ? input.quantizedList : list, w, out, mode);
    } else {
      if (list !== null) this.#kernels.scatterRows(list, x);
      if (isQuantized(w.dtype)) this.#kernels.quantizeRows(x, input.quantizedRows);
      this.#kernels[kernel](isQuantized(w.dtype) ? input.quantizedRows : x, w, out, mode);
    }
  }

  /** Dot products of x with the rows of w: all of them, or those of a list. */
  dots(
    input: PointInput,
    x: Tensor<'f32'>,
    w: WeightMatrix,
    out: Tensor<'f32'>,
    options?: { readonly at: SparseRows },
  ): void {
    if (!isQuantized(w.dtype)) {
      this.#kernels.weightDots(x, w, out, options);
    } else {
      this.#kernels.quantizeRows(x, input.quantizedRows);
      this.#kernels.weightDots(input.quantizedRows, w, out, options);
    }
  }

  /** Counts and lists the open gates of the first `list.cols` columns. */
  listOpenGates(gates: Tensor<'f32'>, list: SparseRows): void {
    this.#kernels.countOpenGates(gates, list.cols, list.start);
    this.#kernels.gatherOpenGates(gates, list);
  }
}

/** Has any row more than `kept` elements? */
function hasRowAbove({ start, rows }: SparseRows, kept: number): boolean {
  for (let row = 0; row < rows; row++) if (start.data[row + 1] - start.data[row] > kept) return true;
  return false;
}
