/* sparse_matmul: out [m, n] (+)= s [m, k] b [k, n], where s is SparseRows and only its non-zeros are multiplied.
 *
 * Every row (token) has its own mask, so that neither a union of masks nor a gather pays. Instead a tile of b, some rows by
 * TILE_COLS columns, is packed into the L1 cache and ALL rows of s pass over it: a row's sums stay in registers while its
 * non-zeros inside the tile are added. A cursor per row remembers where its list stands. The very sparse case takes
 * taller tiles, because a row finds few non-zeros in each and the sums' way to memory and back would dominate.
 * The same kernel serves Y = X W (top-K lists), dW = X^T dY (transposed lists) and dX = dY W^T (sparse gradients, b
 * transposed while it is packed). An element's additions run in the order of the list whatever the parts.
 *
 * sparse_matmul: start, index, value, b, out, m, n, k, transposeB, accumulate, stride     stride: from one row of out to the next,
 * and, not transposed, of b
 */
#include "transpose_block.h"

#define SM_VECTORS 8 /* accumulators of a row: 128 columns on AVX-512, 64 on AVX2, 32 on SSE2, NEON and wasm */
#define SM_COLS (SM_VECTORS * VL)
#ifndef SM_TILE_BYTES
#define SM_TILE_BYTES (28 << 10) /* of a 32 KB L1, the rest is for the lists and the sums */
#endif
#define SM_ROW_BLOCK 256 /* their sums stay in L2 from one tile to the next, which is worth packing the tiles again */
#define SM_MAX_TILE (512 << 10)
#ifndef SM_AHEAD
#define SM_AHEAD 2 /* rows prefetched */
#endif

/* tile [rows][SM_COLS] = b[k0 .. k0 + rows, n0 .. n0 + cols], columns beyond `cols` zero. */
INLINE void sm_pack(const float *b, int64_t bRow, int64_t bCol, int64_t rows, int64_t cols, float *tile) {
  if (bCol == 1) {
    for (int64_t r = 0; r < rows; r++, tile += SM_COLS) {
      const float *from = b + r * bRow;
      if (cols == SM_COLS) {
#pragma GCC unroll 16
        for (int j = 0; j < SM_VECTORS; j++) *(vf *)(tile + j * VL) = load(from + j * VL);
      } else {
        for (int64_t c = 0; c < SM_COLS; c++) tile[c] = c < cols ? from[c] : 0;
      }
    }
    return;
  }
  transpose_block(b, bCol, cols, rows, tile, SM_COLS);
  if (cols == SM_COLS) return;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = cols; c < SM_COLS; c++) tile[r * SM_COLS + c] = 0;
}

/* One row's non-zeros from `at` on, below column `limit`, added to out [SM_COLS]; the tile begins at column `k0`. */
INLINE int64_t sm_row(const int32_t *index, const float *value, int64_t at, int64_t end, int64_t k0, int64_t limit,
                      const float *tile, float *out, int add) {
  vf acc[SM_VECTORS];
  if (add) {
#pragma GCC unroll 16
    for (int j = 0; j < SM_VECTORS; j++) acc[j] = load(out + j * VL);
  } else {
#pragma GCC unroll 16
    for (int j = 0; j < SM_VECTORS; j++) acc[j] = (vf){0};
  }
  for (; at < end && index[at] < limit; at++) {
    const float *row = tile + (index[at] - k0) * SM_COLS;
    const vf v = splat(value[at]);
#pragma GCC unroll 16
    for (int j = 0; j < SM_VECTORS; j++) acc[j] += v * *(const vf *)(row + j * VL);
  }
#pragma GCC unroll 16
  for (int j = 0; j < SM_VECTORS; j++) store(out + j * VL, acc[j]);
  return at;
}

/* All rows over one tile. The rows of out and the lists lie too far apart for the hardware to foresee the next one. */
INLINE void sm_tile(const int32_t *start, const int32_t *index, const float *value, int32_t *cursor, int64_t rows, int64_t k0,
                    int64_t limit, const float *tile, float *out, int64_t ld, int add) {
  for (int64_t r = 0; r < rows; r++, out += ld) {
    const int64_t next = cursor[MIN(r + SM_AHEAD, rows - 1)];
    __builtin_prefetch(index + next);
    __builtin_prefetch(value + next);
    __builtin_prefetch(index + next + 16);
    __builtin_prefetch(value + next + 16);
#pragma GCC unroll 16
    for (int j = 0; j < SM_COLS; j += 16) __builtin_prefetch(out + SM_AHEAD * ld + j, 1);
    cursor[r] = (int32_t)sm_row(index, value, cursor[r], start[r + 1], k0, limit, tile, out, add);
  }
}

/* The same for the last columns, fewer than SM_COLS: through a padded copy of the row. */
static void sm_tile_edge(const int32_t *start, const int32_t *index, const float *value, int32_t *cursor, int64_t rows,
                         int64_t k0, int64_t limit, const float *tile, float *out, int64_t ld, int add, int64_t cols) {
  float padded[SM_COLS] __attribute__((aligned(64)));
  for (int64_t c = 0; c < SM_COLS; c++) padded[c] = 0;
  for (int64_t r = 0; r < rows; r++, out += ld) {
    for (int64_t c = 0; c < cols; c++) padded[c] = out[c];
    cursor[r] = (int32_t)sm_row(index, value, cursor[r], start[r + 1], k0, limit, tile, padded, add);
    for (int64_t c = 0; c < cols; c++) out[c] = padded[c];
  }
}

static void sm_rows(const int32_t *start, const int32_t *index, const float *value, const float *b, int64_t bRow, int64_t bCol,
                    float *out, int64_t stride, int64_t k, int64_t r0, int64_t r1, int64_t n0, int64_t n1, int accumulate,
                    int64_t tileRows, void *scratch) {
  int32_t *cursor = scratch;
  float *tile = (float *)((char *)scratch + SM_ROW_BLOCK * 4);
  for (int64_t block = r0; block < r1; block += SM_ROW_BLOCK) {
    const int64_t rows = MIN(SM_ROW_BLOCK, r1 - block);
    for (int64_t c = n0; c < n1; c += SM_COLS) {
      const int64_t cols = MIN(SM_COLS, n1 - c);
      float *o = out + block * stride + c;
      for (int64_t r = 0; r < rows; r++) cursor[r] = start[block + r];
      for (int64_t k0 = 0; k0 < k; k0 += tileRows) {
        const int64_t limit = MIN(k, k0 + tileRows);
        const int add = accumulate || k0 > 0;
        sm_pack(b + k0 * bRow + c * bCol, bRow, bCol, limit - k0, cols, tile);
        if (cols == SM_COLS) sm_tile(start + block, index, value, cursor, rows, k0, limit, tile, o, stride, add);
        else sm_tile_edge(start + block, index, value, cursor, rows, k0, limit, tile, o, stride, add, cols);
      }
    }
  }
}

/* The first row at which `share` of the non-zeros lie behind: rows are divided by their work, not by their number. */
INLINE int64_t sm_split(const int32_t *start, int64_t m, int64_t part, int64_t parts) {
  if (part == parts) return m;
  /* A row costs its non-zeros and one way of its sums to memory and back. */
  const int64_t total = start[m] + 4 * m, goal = total * part / parts;
  int64_t low = 0, high = m;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (start[middle] + 4 * middle < goal) low = middle + 1;
    else high = middle;
  }
  return low;
}

#ifndef SM_TILE_ROWS
/* Rows of a tile for a density: 12 non-zeros of a row should fall into it at least, within L1 for the denser half. */
INLINE int64_t sm_tile_rows(int64_t m, int64_t k, int64_t nonZeros) {
  const int64_t inL1 = SM_TILE_BYTES / (SM_COLS * 4);
  const double perColumn = (double)nonZeros / ((double)m * (double)k);
  int64_t rows = inL1;
  while (rows * 2 * SM_COLS * 4 <= SM_MAX_TILE && rows * perColumn < 12) rows *= 2;
  return rows;
}
#else
INLINE int64_t sm_tile_rows(int64_t m, int64_t k, int64_t nonZeros) { return SM_TILE_ROWS; }
#endif

static void sparse_matmul(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  const float *value = PF(2), *b = PF(3);
  float *out = PF(4);
  const int64_t m = INT(5), n = INT(6), k = INT(7);
  const int64_t stride = INT(10);
  const int64_t bRow = INT(8) ? 1 : stride, bCol = INT(8) ? k : 1;
  const int64_t tileRows = sm_tile_rows(m, k, start[m]);
  /* Column tiles are divided where they come out even: then no part packs what another one packs. Else rows, if many. */
  const int64_t tiles = (n + SM_COLS - 1) / SM_COLS;
  if (tiles % w.parts == 0 || tiles >= 8 * w.parts) {
    int64_t first, last;
    share(n, SM_COLS, w, &first, &last);
    if (first < last) sm_rows(start, index, value, b, bRow, bCol, out, stride, k, 0, m, first, last, INT(9), tileRows, w.scratch);
  } else if (m >= 64 * w.parts) {
    const int64_t r0 = sm_split(start, m, w.part, w.parts), r1 = sm_split(start, m, w.part + 1, w.parts);
    if (r0 < r1) sm_rows(start, index, value, b, bRow, bCol, out, stride, k, r0, r1, 0, n, INT(9), tileRows, w.scratch);
  } else {
    int64_t first, last;
    share(n, VL, w, &first, &last);
    if (first < last) sm_rows(start, index, value, b, bRow, bCol, out, stride, k, 0, m, first, last, INT(9), tileRows, w.scratch);
  }
}
