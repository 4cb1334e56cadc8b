/* The register-blocked product on tiles in the scratch that attention is made of, over whole sequences and over a cache.
 *
 * An element of c is one chain of multiply-adds over `depth`, whatever rows and columns are computed beside it: results do not depend on
 * how rows are put together.
 */
#ifndef QSPARSE_ATTENTION_PRODUCT_H
#define QSPARSE_ATTENTION_PRODUCT_H

#include "kernel.h"

/* Six rows by two vectors: 12 sums, two vectors of b and a broadcast fill 16 registers, and hide the latency of FMA. With one or two
 * rows more columns do that, and b is read in longer runs. */
#define ATTENTION_ROWS 6
#define ATTENTION_COLS (2 * VL)

/* c [rows, vectors * VL] = (or +=) a b over `depth`; element (r, d) of a is a[r * aRow + d * aDepth]. `rows` and `vectors` are constants. */
INLINE void attention_micro(int rows, int vectors, int64_t depth, const float *a, int64_t aRow, int64_t aDepth,
                            const float *b, int64_t bRow, float *c, int64_t cRow, int accumulate) {
  vf sum[12];
#pragma GCC unroll 12
  for (int i = 0; i < rows * vectors; i++)
    sum[i] = accumulate ? load(c + i / vectors * cRow + i % vectors * VL) : splat(0);
  for (int64_t d = 0; d < depth; d++) {
#pragma GCC unroll 12
    for (int i = 0; i < rows * vectors; i++)
      sum[i] += splat(a[i / vectors * aRow + d * aDepth]) * load(b + d * bRow + i % vectors * VL);
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows * vectors; i++) store(c + i / vectors * cRow + i % vectors * VL, sum[i]);
}

/* c [rows, cols] = (or +=) a b, cols a multiple of 2 VL; a by strides as above, b and c by rows. */
static void attention_product(int64_t rows, int64_t cols, int64_t depth, const float *a, int64_t aRow, int64_t aDepth,
                              const float *b, int64_t bRow, float *c, int64_t cRow, int accumulate) {
#define ATTENTION_MICRO(rows, vectors) \
  for (; j + vectors * VL <= cols; j += vectors * VL) \
  attention_micro(rows, vectors, depth, from, aRow, aDepth, b + j, bRow, to + j, cRow, accumulate)
  for (int64_t r = 0; r < rows; r += ATTENTION_ROWS) {
    const float *from = a + r * aRow;
    float *to = c + r * cRow;
    int64_t j = 0;
    switch (MIN(ATTENTION_ROWS, rows - r)) {
    case 1:
      ATTENTION_MICRO(1, 8);
      ATTENTION_MICRO(1, 2);
      break;
    case 2:
      ATTENTION_MICRO(2, 4);
      ATTENTION_MICRO(2, 2);
      break;
    case 3: ATTENTION_MICRO(3, 2); break;
    case 4: ATTENTION_MICRO(4, 2); break;
    case 5: ATTENTION_MICRO(5, 2); break;
    default: ATTENTION_MICRO(6, 2);
    }
  }
#undef ATTENTION_MICRO
}

/* Up to a whole pair of vectors. */
INLINE int64_t attention_pad(int64_t size) { return (size + ATTENTION_COLS - 1) / ATTENTION_COLS * ATTENTION_COLS; }

INLINE float attention_scale(int64_t headDim) { return 1.0f / __builtin_sqrtf((float)headDim); }

#endif
