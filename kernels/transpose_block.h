/* Transposing a block of a matrix in registers: what packing and attention share. */
#ifndef QSPARSE_TRANSPOSE_BLOCK_H
#define QSPARSE_TRANSPOSE_BLOCK_H

#include "kernel.h"

/* to [cols, rows] = from [rows, cols] transposed, in squares of 4 x 4 and, where two rows are left, pairs. */
static void transpose_block(const float *from, int64_t fromRow, int64_t rows, int64_t cols, float *to, int64_t toRow) {
  typedef float v2u __attribute__((vector_size(8), aligned(4), may_alias));
  typedef float v4 __attribute__((vector_size(16)));
  typedef float v4u __attribute__((vector_size(16), aligned(4), may_alias));
  const int64_t rowsBy4 = rows & ~3, colsBy4 = cols & ~3;
  for (int64_t r = 0; r < rowsBy4; r += 4)
    for (int64_t c = 0; c < colsBy4; c += 4) {
      const float *p = from + r * fromRow + c;
      v4 a0 = *(const v4u *)p, a1 = *(const v4u *)(p + fromRow);
      v4 a2 = *(const v4u *)(p + 2 * fromRow), a3 = *(const v4u *)(p + 3 * fromRow);
      v4 low01 = __builtin_shufflevector(a0, a1, 0, 4, 1, 5), high01 = __builtin_shufflevector(a0, a1, 2, 6, 3, 7);
      v4 low23 = __builtin_shufflevector(a2, a3, 0, 4, 1, 5), high23 = __builtin_shufflevector(a2, a3, 2, 6, 3, 7);
      float *q = to + c * toRow + r;
      *(v4u *)q = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
      *(v4u *)(q + toRow) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
      *(v4u *)(q + 2 * toRow) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
      *(v4u *)(q + 3 * toRow) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
    }
  int64_t done = rowsBy4;
  if (rows - done >= 2) {
    const float *p = from + done * fromRow;
    for (int64_t c = 0; c < colsBy4; c += 4) {
      v4 a0 = *(const v4u *)(p + c), a1 = *(const v4u *)(p + fromRow + c);
      float *q = to + c * toRow + done;
      *(v2u *)q = __builtin_shufflevector(a0, a1, 0, 4);
      *(v2u *)(q + toRow) = __builtin_shufflevector(a0, a1, 1, 5);
      *(v2u *)(q + 2 * toRow) = __builtin_shufflevector(a0, a1, 2, 6);
      *(v2u *)(q + 3 * toRow) = __builtin_shufflevector(a0, a1, 3, 7);
    }
    done += 2;
  }
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = r < done ? colsBy4 : 0; c < cols; c++) to[c * toRow + r] = from[r * fromRow + c];
}

#endif
