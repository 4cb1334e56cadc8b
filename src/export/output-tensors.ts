/**
 * OutputTensor: a tensor as another program stores it, told by where its rows come from in our parameters; and writing a list of them.
 *
 * Projections go out row by row of the output, [out, in], gathered from columns of our fused [in, out] matrices, possibly in another order; tables
 * and norms as they are; the experts of a layer one behind the other in one tensor. In memory are one parameter and a few rows.
 */

import { describeParameters, type ParameterInfo } from '../model/parameters.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { FormatError } from '../util/errors.ts';
import { type EncodedType, encodeNumbers } from './encode-numbers.ts';
import type { ExportSource } from './export-source.ts';

/** Rows of one output tensor that come from one parameter; `null` in the place of a parameter: zeros. */
export interface OutputPart {
  readonly parameter: ParameterInfo | null;
  /** Row r of the part is this column of the parameter [in, out]; left out: the parameter as it is. */
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
  return { name, type, shape, parts: [{ parameter, rows: sizeOf(shape) / cols, cols }] };
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
      await new Promise((resolve) => setImmediate(resolve));
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
  { parameter, columnOf, rows, cols }: OutputPart,
  read: (parameter: ParameterInfo) => Float32Array,
): Generator<{ firstRow: number; numbers: Float32Array }> {
  if (parameter === null || columnOf === undefined) {
    const numbers = parameter === null ? new Float32Array(rows * cols) : read(parameter);
    const step = Math.max(1, Math.floor(2 ** 20 / cols));
    for (let row = 0; row < rows; row += step) {
      yield { firstRow: row, numbers: numbers.subarray(row * cols, Math.min(rows, row + step) * cols) };
    }
    return;
  }
  const numbers = read(parameter);
  const width = parameter.shape[parameter.shape.length - 1];
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
