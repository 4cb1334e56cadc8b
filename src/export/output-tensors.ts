/**
 * OutputTensor: a tensor as another program stores it, told by where its rows come from in our parameters; and writing a list of them.
 *
 * Projections go out row by row of the output, [out, in], gathered from columns of our fused [in, out] matrices, possibly in another order; tables
 * and norms as they are; the experts of a layer one behind the other in one tensor. In memory are one parameter and a few rows.
 */

import { describeParameters, type ParameterInfo } from '../model/parameters.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { FormatError } from '../util/errors.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import { type EncodedType, encodeNumbers } from './encode-numbers.ts';
import type { ExportSource } from './export-source.ts';

/** Rows of one output tensor that come from one parameter, or numbers [rows, cols] that no parameter holds. */
export interface OutputPart {
  readonly from: ParameterInfo | Float32Array;
  /** Row r of the part is this column of the parameter [in, out], or this element of a vector; left out: the parameter as it is. */
  readonly columnOf?: (row: number) => number;
  readonly rows: number;
  readonly cols: number;
}

export interface OutputTensor {
  readonly name: string;
  readonly type: EncodedType;
  readonly shape: readonly number[];
  readonly parts: readonly OutputPart[];
}

export interface ExportOptions {
  /** Looked at while tensors are written; its reason is thrown, and nothing stays behind. */
  signal?: AbortSignal;
  /** Weights written so far, of how many. */
  onProgress?: (done: number, total: number) => void;
}

/** Rows that are gathered in one pass over a parameter: as many columns as share cache lines a few times over. */
const GATHERED_ROWS = 64;

/** The whole parameter `parameter`, as it is. */
export function wholeTensor(name: string, type: EncodedType, parameter: ParameterInfo): OutputTensor {
  const { shape } = parameter;
  const cols = shape[shape.length - 1];
  return { name, type, shape, parts: [{ from: parameter, rows: sizeOf(shape) / cols, cols }] };
}

/** A tensor of given numbers, in f32. */
export function constantTensor(name: string, shape: readonly number[], numbers: Float32Array): OutputTensor {
  const cols = shape[shape.length - 1];
  return { name, type: 'f32', shape, parts: [{ from: numbers, rows: numbers.length / cols, cols }] };
}

/** Columns of a parameter that become rows, [count, in]; of a vector elements, [count]. */
export interface Columns {
  readonly first: number;
  readonly count: number;
}

/** `order` gives for each row of the output the column, behind the first, that it is. */
export function columnsTensor(
  name: string,
  type: EncodedType,
  parameter: ParameterInfo,
  columns: Columns,
  order?: (row: number) => number,
): OutputTensor {
  const part = columnsPart(parameter, columns, order);
  return { name, type, shape: parameter.shape.length > 1 ? [part.rows, part.cols] : [part.rows], parts: [part] };
}

export function columnsPart(
  parameter: ParameterInfo,
  { first, count }: Columns,
  order: (row: number) => number = (row) => row,
): OutputPart {
  const cols = parameter.shape.length > 1 ? parameter.shape[0] : 1;
  return { from: parameter, columnOf: (row) => first + order(row), rows: count, cols };
}

/** Numbers in all tensors together. */
export function countNumbers(tensors: readonly OutputTensor[]): number {
  return tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * Encodes the tensors in their order and gives their bytes to `write`. Throws FormatError for numbers that the type of their tensor cannot
 * hold, and what reading and `write` throw.
 */
export async function writeTensors(
  source: ExportSource,
  tensors: readonly OutputTensor[],
  write: (bytes: Uint8Array) => void,
  { signal, onProgress }: ExportOptions,
): Promise<void> {
  const total = countNumbers(tensors);
  const read = rememberingReader(source);
  let done = 0;
  for (const tensor of tensors) {
    for (const part of tensor.parts) {
      onProgress?.(done, total);
      // A signal arrives while the event loop turns.
      await turnEventLoop();
      signal?.throwIfAborted();
      for (const { firstRow, numbers } of rowsOf(part, read)) {
        write(encode(tensor, numbers, part.cols, firstRow));
        done += numbers.length;
      }
    }
  }
  onProgress?.(done, total);
}

function encode({ name, type }: OutputTensor, numbers: Float32Array, cols: number, firstRow: number): Uint8Array {
  const encoded = encodeNumbers(type, numbers);
  if (encoded.unfit === null) return encoded.bytes;
  const at = `row ${firstRow + Math.floor(encoded.unfit / cols)}, column ${encoded.unfit % cols}`;
  const what = `${name}: ${at} is ${numbers[encoded.unfit]}: ${type} cannot hold it. Write f32`;
  throw new FormatError('export', `${what}.`);
}

/** Neighbouring tensors are columns of one parameter, which is read once. */
function rememberingReader(source: ExportSource): (parameter: ParameterInfo) => Float32Array {
  let name: string | undefined;
  let numbers = new Float32Array(0);
  return (parameter) => {
    if (parameter.name === name) return numbers;
    const size = sizeOf(parameter.shape);
    if (numbers.length !== size) numbers = new Float32Array(size);
    name = undefined;
    source.read(parameter, numbers);
    name = parameter.name;
    return numbers;
  };
}

function* rowsOf(
  { from, columnOf, rows, cols }: OutputPart,
  read: (parameter: ParameterInfo) => Float32Array,
): Generator<{ firstRow: number; numbers: Float32Array }> {
  const numbers = from instanceof Float32Array ? from : read(from);
  if (from instanceof Float32Array || columnOf === undefined) {
    const step = Math.max(1, Math.floor(2 ** 20 / cols));
    for (let row = 0; row < rows; row += step) {
      yield { firstRow: row, numbers: numbers.subarray(row * cols, Math.min(rows, row + step) * cols) };
    }
    return;
  }
  const width = from.shape[from.shape.length - 1];
  for (let row = 0; row < rows; row += GATHERED_ROWS) {
    const columns = Array.from({ length: Math.min(GATHERED_ROWS, rows - row) }, (_, i) => columnOf(row + i));
    yield { firstRow: row, numbers: gather(numbers, width, cols, columns) };
  }
}

/** out [columns, rows of the parameter]: the columns become rows. */
function gather(numbers: Float32Array, width: number, rows: number, columns: readonly number[]): Float32Array {
  const out = new Float32Array(columns.length * rows);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns.length; i++) out[i * rows + row] = numbers[row * width + columns[i]];
  }
  return out;
}

/** By name; what a plan of tensors is made from. */
export function parametersByName(source: Pick<ExportSource, 'config'>): Map<string, ParameterInfo> {
  return new Map(describeParameters(source.config).map((parameter) => [parameter.name, parameter]));
}
