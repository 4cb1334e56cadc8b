/* select_block_top_k: the `kept` largest |x| of each block of `blockSize` consecutive features, ties to the lower index, listed in ascending
 * order of the index: every block has the same count.
 *
 * A small block is ranked instead of searched: the rank of an element is the number of those that come before it, all comparisons are made,
 * whole registers at a time, and no branch depends on the values. That the lower index wins a tie costs nothing: for the elements in front,
 * "not below" is "above one less" in whole numbers. Other blocks are rows of select_top_k.
 * Source: Q-Sparse (arXiv 2407.10969), Block Q-Sparse (N:M).
 *
 * select_block_top_k: x, start, index, value, N, D, kept, blockSize                             rows are shared
 */
#include "top_k.c"

#define BK_RANKED 64 /* comparisons grow with the square */

/* `size` is a constant where it matters, a multiple of VL and at most BK_RANKED. */
INLINE void bk_ranked(const float *x, int64_t size, int64_t kept, int64_t base, int32_t *index, float *value) {
  int32_t magnitudes[BK_RANKED] __attribute__((aligned(64))), ranks[BK_RANKED] __attribute__((aligned(64)));
  vi lanes;
  for (int j = 0; j < VL; j++) lanes[j] = j;
  for (int64_t i = 0; i < size; i += VL) *(vi *)(magnitudes + i) = *(const viu *)(x + i) & MAGNITUDE;
  for (int64_t v = 0; v < size; v += VL) {
    const vi own = *(const vi *)(magnitudes + v), below = own - 1;
    vi rank = {0};
#pragma GCC unroll 16
    for (int64_t i = 0; i < v; i++) rank -= magnitudes[i] > below;
#pragma GCC unroll 16
    for (int64_t i = v; i < v + VL; i++) rank -= magnitudes[i] > own + (lanes > (int32_t)(i - v));
#pragma GCC unroll 16
    for (int64_t i = v + VL; i < size; i++) rank -= magnitudes[i] > own;
    *(vi *)(ranks + v) = rank;
  }
  int64_t at = 0;
  for (int64_t i = 0; at < kept; i++) {
    index[at] = (int32_t)(base + i);
    value[at] = x[i];
    at += ranks[i] < kept;
  }
}

NOINLINE void bk_searched(const float *x, int64_t size, int64_t kept, int64_t base, int32_t *index, float *value) {
  tk_row(x, size, kept, index, value);
  for (int64_t i = 0; i < kept; i++) index[i] += (int32_t)base;
}

static void select_block_top_k(const double *args, work w) {
  const float *x = PF(0);
  int32_t *start = PI(1), *index = PI(2);
  float *value = PF(3);
  const int64_t rows = INT(4), size = INT(5), kept = INT(6), block = INT(7);
  const int64_t keptOfRow = size / block * kept;
  int64_t first, last;
  share(rows, 1, w, &first, &last);
  if (w.part == 0) start[0] = 0;
  for (int64_t r = first; r < last; r++) {
    start[r + 1] = (int32_t)((r + 1) * keptOfRow);
    int64_t at = r * keptOfRow;
    for (int64_t base = 0; base < size; base += block, at += kept) {
      const float *from = x + r * size + base;
      if (block == 32) bk_ranked(from, 32, kept, base, index + at, value + at);
      else if (block <= BK_RANKED && block % VL == 0) bk_ranked(from, block, kept, base, index + at, value + at);
      else bk_searched(from, block, kept, base, index + at, value + at);
    }
  }
}
