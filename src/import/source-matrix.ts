/**
 * Matrices as other programs store them, [out, in], read piece by piece into the columns of our fused ones, [in, out].
 *
 * A piece is a few rows of the source and becomes as many neighbouring columns. So what is in memory beside the result stays small, whatever the
 * size of the matrix. The number that a weight must not be, NaN or an infinity, is found here for all formats.
 */

import { FormatError } from '../util/errors.ts';

/** Rows of f32 numbers in a file. */
export interface SourceMatrix {
  /** Of the tensor, for messages: what it is called, and where it lies in the file. */
  readonly name: string;
  readonly byteOffset: number;
  readonly rows: number;
  readonly cols: number;
  /** Fills `out` with whole rows from `first` on. */
  read(first: number, out: Float32Array): void;
}

/** The column, behind the first, that a row of the source becomes. */
export type ColumnOfRow = (row: number) => number;

export interface TargetColumns {
  /** [in, cols] */
  readonly out: Float32Array;
  readonly cols: number;
  /** Which column row 0 of the source becomes. */
  readonly first: number;
  /** Default: row by row. */
  readonly columnOf?: ColumnOfRow | undefined;
}

/** 1 MiB of f32: stays in a cache while it is transposed. */
const PIECE_ELEMENTS = 2 ** 18;
/** Rows that are written side by side, a cache line of columns. */
const TILE_ROWS = 16;

/** Writes the transpose of `source` into columns of a matrix. Throws FormatError for what is not finite; `path` is the file. */
export function readTransposed(
  source: SourceMatrix,
  { out, cols, first, columnOf }: TargetColumns,
  path: string,
): void {
  const columns = Int32Array.from({ length: source.rows }, (_, row) => first + (columnOf?.(row) ?? row));
  forEachPiece(source, path, (piece, firstRow) => {
    const rows = piece.length / source.cols;
    for (let tile = 0; tile < rows; tile += TILE_ROWS) {
      const end = Math.min(tile + TILE_ROWS, rows);
      for (let col = 0; col < source.cols; col++) {
        for (let row = tile; row < end; row++) {
          out[col * cols + columns[firstRow + row]] = piece[row * source.cols + col];
        }
      }
    }
  });
}

/** Fills `out` with the source as it is. Throws FormatError for what is not finite. */
export function readWhole(source: SourceMatrix, out: Float32Array, path: string): void {
  forEachPiece(source, path, (piece, firstRow) => out.set(piece, firstRow * source.cols));
}

function forEachPiece(source: SourceMatrix, path: string, use: (piece: Float32Array, firstRow: number) => void): void {
  const { rows, cols } = source;
  const rowsOfPiece = Math.min(rows, Math.max(1, Math.floor(PIECE_ELEMENTS / cols)));
  const memory = new Float32Array(rowsOfPiece * cols);
  for (let row = 0; row < rows; row += rowsOfPiece) {
    const piece = memory.subarray(0, Math.min(rowsOfPiece, rows - row) * cols);
    source.read(row, piece);
    expectFinite(piece, row * cols, source, path);
    use(piece, row);
  }
}

function expectFinite(piece: Float32Array, first: number, { name, byteOffset }: SourceMatrix, path: string): void {
  let sum = 0;
  for (let i = 0; i < piece.length; i++) sum += piece[i] * 0;
  if (sum === 0) return;
  const at = piece.findIndex((x) => !Number.isFinite(x));
  const where = `tensor "${name}" at byte ${byteOffset}: element ${first + at}`;
  throw new FormatError('import', `${path}: ${where}: expected a finite number, found ${piece[at]}.`, path);
}
