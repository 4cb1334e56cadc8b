/**
 * The checks that `check-kernels.ts` is made of: each throws a ShapeError that names the op, the tensor, what was expected and
 * what came. Constant time, no allocation while everything is right: they run around every kernel call, in decoding too.
 */

import type { ColumnRange } from '../../backend.ts';
import type { BlockPlaces, SparseRows } from '../../tensor/sparse-rows.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { BYTES_PER_ELEMENT, type FloatType, shapeText, type Tensor } from '../../tensor/tensor.ts';
import { BackendError, ShapeError } from '../../util/errors.ts';
import { columnsOf, elementsOf } from '../matrix-shape.ts';

/** For a condition that the caller looked at; `expected` and `got` are said as they stand. */
export function mismatch(op: string, what: string, expected: string, got: unknown): never {
  throw new ShapeError(op, `${what}: expected ${expected}, got ${got}.`);
}

/**
 * The float type of a call, from its first tensor. Throws ShapeError for i32 and BackendError for f64 in the memory of a C
 * backend (its address is not 0): those kernels would read f64 as f32.
 */
export function floatTypeOf(op: string, name: string, tensor: Tensor): FloatType {
  if (tensor.dtype !== 'f32' && tensor.dtype !== 'f64') {
    throw new ShapeError(op, `dtype of ${name}: expected f32 or f64, got ${tensor.dtype}.`);
  }
  if (tensor.dtype === 'f64' && tensor.address !== 0) {
    throw new BackendError(op, `no f64 kernel on this backend (tensor ${name}): use f32, or the reference backend.`);
  }
  return tensor.dtype;
}

/** dtype as given and memory behind every element that the shape names; `part` is added to the name in the message. */
function expectStored(op: string, name: string, tensor: Tensor, dtype: Tensor['dtype'], part = ''): void {
  if (tensor.dtype !== dtype) {
    throw new ShapeError(op, `dtype of ${name}${part}: expected ${dtype}, got ${tensor.dtype}.`);
  }
  const size = elementsOf(tensor);
  if (tensor.data.length < size) {
    const text = shapeText(tensor.shape);
    throw new ShapeError(op, `memory of ${name}${part} ${text}: expected ${size} elements, got ${tensor.data.length}.`);
  }
}

/** rows x cols, with the rows in any number of leading extents. */
export function expectMatrix(
  op: string,
  name: string,
  tensor: Tensor,
  dtype: Tensor['dtype'],
  rows: number,
  cols: number,
): void {
  expectStored(op, name, tensor, dtype);
  if (columnsOf(tensor) !== cols || elementsOf(tensor) !== rows * cols) {
    const expected = shapeText([rows, cols]);
    throw new ShapeError(op, `shape of ${name}: expected ${expected}, got ${shapeText(tensor.shape)}.`);
  }
}

/** `size` elements under any shape. */
export function expectSize(op: string, name: string, tensor: Tensor, dtype: Tensor['dtype'], size: number): void {
  expectStored(op, name, tensor, dtype);
  if (elementsOf(tensor) !== size) {
    const got = `${elementsOf(tensor)} (${shapeText(tensor.shape)})`;
    throw new ShapeError(op, `elements of ${name}: expected ${size}, got ${got}.`);
  }
}

/** Memory for `count` elements or more, under any shape. */
export function expectCapacity(op: string, name: string, tensor: Tensor, dtype: Tensor['dtype'], count: number): void {
  if (tensor.dtype !== dtype) mismatch(op, `dtype of ${name}`, dtype, tensor.dtype);
  if (!(tensor.data.length >= count)) mismatch(op, `elements of ${name}`, `at least ${count}`, tensor.data.length);
}

/** Columns first .. first + count of `width`; a range of none of them is one. */
export function expectRange(op: string, { first, count }: ColumnRange, width: number): void {
  const inside = first >= 0 && count >= 0 && first + count <= width;
  if (!inside) mismatch(op, 'columns', `a range of 0 .. ${width}`, `${first} .. ${first + count}`);
}

/** The extent that a product sums over. Without one the blocked kernels have no block to write the zeros with. */
export function expectInner(op: string, extent: number): void {
  if (!(extent >= 1)) mismatch(op, 'inner extent', '1 or more', extent);
}

/** Row starts are 32-bit integers, like everything that a list holds. */
const MOST_LISTED = 2 ** 31 - 1;

/** A list of as many elements: their count must fit its row starts. */
export function expectListable(op: string, count: number): void {
  if (!(count <= MOST_LISTED)) mismatch(op, 'elements of a list', `at most ${MOST_LISTED}: give it fewer rows`, count);
}

/** A SparseRows of rows x cols with room for `capacity` elements, its contents not looked at (an output). */
export function expectRoom(
  op: string,
  name: string,
  matrix: SparseRows,
  dtype: FloatType,
  rows: number,
  cols: number,
  capacity: number,
): void {
  expectListable(op, capacity);
  if (matrix.rows !== rows || matrix.cols !== cols) {
    const got = shapeText([matrix.rows, matrix.cols]);
    throw new ShapeError(op, `shape of ${name}: expected ${shapeText([rows, cols])}, got ${got}.`);
  }
  expectStored(op, name, matrix.start, 'i32', '.start');
  expectStored(op, name, matrix.index, 'i32', '.index');
  expectStored(op, name, matrix.value, dtype, '.value');
  const { start, index, value } = matrix;
  if (start.data.length < rows + 1) {
    throw new ShapeError(op, `elements of ${name}.start: expected ${rows + 1}, got ${start.data.length}.`);
  }
  if (index.data.length < capacity || value.data.length < capacity) {
    const got = `${index.data.length} indices and ${value.data.length} values`;
    throw new ShapeError(op, `capacity of ${name}: expected ${capacity}, got ${got}.`);
  }
}

/** A SparseRows that is read: as `expectRoom`, and its row starts begin at 0 and end inside the capacity. */
export function expectRows(
  op: string,
  name: string,
  matrix: SparseRows,
  dtype: FloatType,
  rows = matrix.rows,
  cols = matrix.cols,
): void {
  expectRoom(op, name, matrix, dtype, rows, cols, 0);
  const count = nonZeros(matrix);
  const capacity = Math.min(matrix.index.data.length, matrix.value.data.length);
  if (matrix.start.data[0] !== 0 || count < 0 || count > capacity) {
    const got = `${matrix.start.data[0]} .. ${count}`;
    throw new ShapeError(op, `row starts of ${name}: expected 0 .. at most ${capacity} (its capacity), got ${got}.`);
  }
  if (matrix.blocks) expectBlocks(op, name, matrix, matrix.blocks);
}

/** What the fixed count of a block promises. */
function expectBlocks(op: string, name: string, { rows, cols, start }: SparseRows, blocks: BlockPlaces): void {
  const { size, kept, place } = blocks;
  const count = rows * (cols / size) * kept;
  if (!(kept >= 1 && kept <= size && cols % size === 0 && start.data[rows] === count)) {
    const got = `${start.data[rows]} elements in ${rows} rows of ${cols} columns`;
    throw new ShapeError(op, `blocks of ${name}: expected ${kept} of ${size} columns each, got ${got}.`);
  }
  expectStored(op, name, place, 'u8', '.place');
  if (place.data.length < count) {
    throw new ShapeError(op, `elements of ${name}.place: expected ${count}, got ${place.data.length}.`);
  }
}

/** Ids in lowest .. limit - 1. One look per token, against `dim` or `vocabSize` elements of work for each. */
export function expectIds(op: string, name: string, ids: Tensor<'i32'>, lowest: number, limit: number): void {
  const count = elementsOf(ids);
  for (let i = 0; i < count; i++) {
    const id = ids.data[i];
    if (id < lowest || id >= limit) {
      throw new ShapeError(op, `${name}[${i}]: expected ${lowest} .. ${limit - 1}, got ${id}.`);
    }
  }
}

/** Memory of an output that overlaps an input: kernels write tiles before they have read all of the inputs. */
export function expectApart(op: string, outName: string, out: Tensor, inName: string, input: Tensor): void {
  if (overlap(out, input)) {
    throw new ShapeError(op, `memory of ${outName}: expected its own, got an overlap with ${inName}.`);
  }
}

function overlap(a: Tensor, b: Tensor): boolean {
  if (a.address !== 0) {
    const aEnd = a.address + elementsOf(a) * BYTES_PER_ELEMENT[a.dtype];
    const bEnd = b.address + elementsOf(b) * BYTES_PER_ELEMENT[b.dtype];
    return a.address < bEnd && b.address < aEnd;
  }
  // Without addresses (the reference backend) the array buffers tell; asking for them is slow.
  const [x, y] = [a.data, b.data];
  if (x.buffer !== y.buffer) return false;
  return x.byteOffset < y.byteOffset + y.byteLength && y.byteOffset < x.byteOffset + x.byteLength;
}

/** Of a magnitude; undefined and 0 are none. */
export function expectThreshold(op: string, threshold = 0): void {
  if (!(threshold >= 0)) mismatch(op, 'threshold', '0 or more', threshold);
}

export function expectHeads(op: string, shape: { nHeads: number; nKvHeads: number; headDim: number }): void {
  const { nHeads, nKvHeads, headDim } = shape;
  if (!(headDim >= 1)) mismatch(op, 'headDim', '1 or more', headDim);
  if (!(nKvHeads >= 1)) mismatch(op, 'nKvHeads', '1 or more', nKvHeads);
  if (!(nHeads >= 1 && nHeads % nKvHeads === 0)) mismatch(op, 'nHeads', `a multiple of nKvHeads ${nKvHeads}`, nHeads);
}

/** The columns that a product writes; not with b transposed, whose columns are rows. */
export function expectColumns(op: string, width: number, columns: ColumnRange | undefined, transposeB = false): void {
  if (columns === undefined) return;
  const { first, count } = columns;
  const inside = first >= 0 && count >= 1 && first + count <= width;
  if (!inside) mismatch(op, 'columns', `a range of 0 .. ${width}`, `${first} .. ${first + count}`);
  if (transposeB) mismatch(op, 'columns', 'b not transposed', 'transposeB');
}
