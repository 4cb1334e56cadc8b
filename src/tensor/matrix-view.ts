/**
 * MatrixView: an f32 matrix as it is read for packing: some columns of a matrix in memory, or their transpose, without a copy.
 */

export interface MatrixView {
  readonly data: Float32Array;
  readonly rows: number;
  readonly cols: number;
  /** The element at (row, col) is data[first + row * rowStep + col * colStep]. */
  readonly first: number;
  readonly rowStep: number;
  readonly colStep: number;
}

/** All of a dense matrix [rows, cols]. */
export function matrixView(data: Float32Array, rows: number, cols: number): MatrixView {
  return { data, rows, cols, first: 0, rowStep: cols, colStep: 1 };
}

/** `count` columns from `first` on. */
export function viewColumns(view: MatrixView, first: number, count: number): MatrixView {
  return { ...view, cols: count, first: view.first + first * view.colStep };
}

export function transposedView(view: MatrixView): MatrixView {
  return { ...view, rows: view.cols, cols: view.rows, rowStep: view.colStep, colStep: view.rowStep };
}

/** Copies one row into out [cols]. */
export function readRow({ data, cols, first, rowStep, colStep }: MatrixView, row: number, out: Float32Array): void {
  const begin = first + row * rowStep;
  if (colStep === 1) {
    out.set(data.subarray(begin, begin + cols));
    return;
  }
  for (let col = 0, at = begin; col < cols; col++, at += colStep) out[col] = data[at];
}
