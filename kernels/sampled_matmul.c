/* sampled_matmul: the elements of a [m, k] b^T at the positions of a list, b stored [n, k]: out[e] = a[row(e)] . b[index(e)].
 *
 * The product whose OUTPUT is sparse: the gradient of the hidden activations, and the values of up, are wanted behind open
 * gates only. Each element is a dot product of two rows, so that there is nothing to share in registers but the row of a: four
 * elements are computed side by side, which loads it once. Rows of b are taken a tile at a time that stays in L2 while the
 * rows of a pass over it; a cursor per row remembers where its list stands. The order of the additions of an element
 * depends on k alone.
 *
 * sampled_matmul: a, b, start, index, out, m, n, k            rows are shared by the number of their elements
 */
#include "vector_math.h"

#define SP_TILE_BYTES (256 << 10) /* of 512 KB L2 and more; the rest is for the rows of a */
#define SP_ROW_BLOCK 1024
#define SP_SIDE 4

/* The dot products of x with `count` rows, count <= SP_SIDE a constant. Two sums each hide the latency of the additions. */
INLINE void sp_dots(const float *x, const float *const *rows, int count, int64_t k, float *out) {
  vf even[SP_SIDE], odd[SP_SIDE];
#pragma GCC unroll 4
  for (int s = 0; s < count; s++) even[s] = odd[s] = (vf){0};
  int64_t i = 0;
  for (; i + 2 * VL <= k; i += 2 * VL) {
    const vf x0 = load(x + i), x1 = load(x + i + VL);
#pragma GCC unroll 4
    for (int s = 0; s < count; s++) {
      even[s] += x0 * load(rows[s] + i);
      odd[s] += x1 * load(rows[s] + i + VL);
    }
  }
#pragma GCC unroll 4
  for (int s = 0; s < count; s++) {
    float sum = sum_lanes(even[s] + odd[s]);
    for (int64_t j = i; j < k; j++) sum += x[j] * rows[s][j];
    out[s] = sum;
  }
}

/* The elements of one row from `at` on whose index is below `limit`. */
INLINE int64_t sp_row(const float *x, const float *b, const int32_t *index, int64_t at, int64_t end, int64_t limit, int64_t k,
                      float *out) {
  const float *rows[SP_SIDE];
  for (; at + SP_SIDE <= end && index[at + SP_SIDE - 1] < limit; at += SP_SIDE) {
    for (int s = 0; s < SP_SIDE; s++) rows[s] = b + (int64_t)index[at + s] * k;
    sp_dots(x, rows, SP_SIDE, k, out + at);
  }
  for (; at < end && index[at] < limit; at++) {
    rows[0] = b + (int64_t)index[at] * k;
    sp_dots(x, rows, 1, k, out + at);
  }
  return at;
}

static void sampled_matmul(const double *args, work w) {
  const float *a = PF(0), *b = PF(1);
  const int32_t *start = PI(2), *index = PI(3);
  float *out = PF(4);
  const int64_t m = INT(5), n = INT(6), k = INT(7);
  const int64_t first = split_rows(start, m, 0, w.part, w.parts), last = split_rows(start, m, 0, w.part + 1, w.parts);
  const int64_t tile = MAX(SP_SIDE, SP_TILE_BYTES / (4 * k));
  int32_t *cursor = w.scratch;
  for (int64_t block = first; block < last; block += SP_ROW_BLOCK) {
    const int64_t rows = MIN(SP_ROW_BLOCK, last - block);
    for (int64_t r = 0; r < rows; r++) cursor[r] = start[block + r];
    for (int64_t limit = tile; limit < n + tile; limit += tile)
      for (int64_t r = 0; r < rows; r++)
        cursor[r] = (int32_t)sp_row(a + (block + r) * k, b, index, cursor[r], start[block + r + 1], limit, k, out);
  }
}
