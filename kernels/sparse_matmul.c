/* sparse_matmul: out [m, n] (+)= s [m, k] b [k, n], where s is SparseRows and only its non-zeros are multiplied.
 *
 * Every row (token) has its own mask, so that neither a union of masks nor a gather pays. Instead a tile of b, some rows by
 * TILE_COLS columns, is packed into the L1 cache and ALL rows of s pass over it: a row's sums stay in registers while its
 * non-zeros inside the tile are added. A cursor per row remembers where its list stands. The very sparse case takes
 * taller tiles, because a row finds few non-zeros in each and the sums' way to memory and back would dominate.
 * The same kernel serves Y = X W (top-K lists), dW = X^T dY (transposed lists) and dX = dY W^T (sparse gradients, b
 * transposed while it is packed). An element's additions run in the order of the list whatever the parts.
 *
 * In bf16 the tile is rounded while it is packed, so that twice the rows fit the same bytes, and a row's non-zeros are taken two at
 * a time: their two rows of the tile are mixed in registers into pairs (bf16.h). Pairs begin anew in each tile, and tiles depend
 * on sizes only, so that a sum is the same whatever the parts. The text around the inner loop has a constant `as`.
 *
 * Where a list comes out even in blocks of columns (block_top_k.c), tiles are whole blocks: a row has as many non-zeros in every one, so that it
 * needs no cursor and no look at where its list ends, and a place is a byte. The sums are the same, bit by bit.
 *
 * sparse_matmul: start, index, value, b, out, m, n, k, transposeB, accumulate, stride, bf16, place, kept, blockSize
 * stride: from one row of out to the next, and, not transposed, of b; place: 0 for any list
 */
#include "bf16.h"
#include "transpose_block.h"
#include "weight_row.h"

#define SM_VECTORS 8 /* accumulators of a row: 128 columns on AVX-512, 64 on AVX2, 32 on SSE2, NEON and wasm */
#define SM_COLS (SM_VECTORS * VL)
#ifndef SM_TILE_BYTES
#define SM_TILE_BYTES (28 << 10) /* of a 32 KB L1, the rest is for the lists and the sums */
#endif
#define SM_ROW_BLOCK 256 /* their sums stay in L2 from one tile to the next, which is worth packing the tiles again */
#define SM_MAX_TILE (512 << 10)
#define SM_SUMS (SM_ROW_BLOCK * SM_COLS)
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

/* The same in bf16, b transposed: 4 columns by VL rows at a time, rounded along b, then turned so that each row of the tile gets its 4
 * columns as 8 bytes. */
INLINE void sm_pack_turned(const float *b, int64_t bCol, int64_t rows, int64_t cols, uint16_t *tile) {
  for (int64_t c0 = 0; c0 < SM_COLS; c0 += 4) {
    uint16_t *to = tile + c0 / (2 * VL) * (2 * VL) + place_of_column(c0 % (2 * VL));
    for (int64_t r0 = 0; r0 < rows; r0 += VL) {
      const int64_t have = MIN(VL, rows - r0);
      vf x[4];
#pragma GCC unroll 4
      for (int64_t c = 0; c < 4; c++) {
        const float *from = b + (c0 + c) * bCol + r0;
        if (c0 + c >= cols) x[c] = (vf){0};
        else x[c] = have == VL ? load(from) : load_first(from, have, 0);
      }
      const vu first = pairs_of(x[0], x[1]), second = pairs_of(x[2], x[3]);
      const vu quads[2] = {mix_lower_pairs(first, second), mix_upper_pairs(first, second)};
      /* Of each 4 rows the first two lie in the one vector, the last two in the other. */
      for (int64_t r = 0; r < have; r++)
        __builtin_memcpy(to + (r0 + r) * SM_COLS, (const char *)&quads[r / 2 % 2] + (r / 4 * 2 + r % 2) * 8, 8);
    }
  }
}

/* The same in bf16: columns in the order of round_columns. */
INLINE void sm_pack_bf16(const float *b, int64_t bRow, int64_t bCol, int64_t rows, int64_t cols, uint16_t *tile) {
  if (bCol != 1) {
    sm_pack_turned(b, bCol, rows, cols, tile);
    return;
  }
  float padded[SM_COLS] __attribute__((aligned(64)));
  for (int64_t c = cols; c < SM_COLS; c++) padded[c] = 0;
  for (int64_t r = 0; r < rows; r++, tile += SM_COLS) {
    const float *from = b + r * bRow;
    if (cols < SM_COLS) {
      for (int64_t c = 0; c < cols; c++) padded[c] = from[c];
      from = padded;
    }
#pragma GCC unroll 16
    for (int64_t j = 0; j < SM_COLS; j += 2 * VL) *(vh *)(tile + j) = round_columns(load(from + j), load(from + j + VL));
  }
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

/* acc += the products of a pair of values with two rows of the tile; no second row is a row of zeros. */
INLINE void sm_add_pair(vf *acc, vu values, const uint16_t *first, const uint16_t *second) {
#pragma GCC unroll 16
  for (int j = 0; j < SM_VECTORS; j += 2) {
    const vh a = *(const vh *)(first + j * VL), b = second ? *(const vh *)(second + j * VL) : (vh){0};
    acc[j] = dot_pairs(acc[j], values, mix_lower(a, b));
    acc[j + 1] = dot_pairs(acc[j + 1], values, mix_upper(a, b));
  }
}

/* The same in bf16, two non-zeros at a time. Values are rounded 2 VL at once, which may be some of the next rows' too, but none
 * from `total` on. */
INLINE int64_t sm_row_bf16(const int32_t *index, const float *value, int64_t at, int64_t end, int64_t total, int64_t k0,
                           int64_t limit, const uint16_t *tile, float *out, int add) {
  vf acc[SM_VECTORS];
#pragma GCC unroll 16
  for (int j = 0; j < SM_VECTORS; j++) acc[j] = add ? load(out + j * VL) : (vf){0};
  pair pairs[VL] __attribute__((aligned(64)));
  for (int used = VL; at + 1 < end && index[at + 1] < limit; at += 2, used++) {
    if (used == VL) {
      round_row(value + at, MIN(2 * VL, total - at), pairs);
      used = 0;
    }
    sm_add_pair(acc, splat_pair(pairs[used]), tile + (index[at] - k0) * SM_COLS, tile + (index[at + 1] - k0) * SM_COLS);
  }
  if (at < end && index[at] < limit) {
    sm_add_pair(acc, splat_pair(pair_of(value[at], 0)), tile + (index[at] - k0) * SM_COLS, NULL);
    at++;
  }
#pragma GCC unroll 16
  for (int j = 0; j < SM_VECTORS; j++) store(out + j * VL, acc[j]);
  return at;
}

/* tile [rows][SM_COLS] in f32 = rows of bf16 weights (weight_matmul.c), columns beyond `cols` zero. */
INLINE void sm_pack_stored(const uint16_t *b, int64_t bRow, int64_t rows, int64_t cols, float *tile) {
  for (int64_t r = 0; r < rows; r++, b += bRow, tile += SM_COLS) {
    const uint8_t *from = (const uint8_t *)b;
    if (cols == SM_COLS) {
#pragma GCC unroll 16
      for (int j = 0; j < SM_VECTORS; j++) *(vf *)(tile + j * VL) = load_bf16(from + 2 * j * VL);
    } else {
      for (int64_t c = 0; c < SM_COLS; c++) tile[c] = c < cols ? bf16_at(from, c) : 0;
    }
  }
}

/* Either precision: the tile packed, a row added. */
INLINE void sm_pack_as(int as, const void *b, int64_t bRow, int64_t bCol, int64_t rows, int64_t cols, void *tile) {
  if (as == AS_ROUNDED) sm_pack_bf16(b, bRow, bCol, rows, cols, tile);
  else if (as == AS_STORED) sm_pack_stored(b, bRow, rows, cols, tile);
  else sm_pack(b, bRow, bCol, rows, cols, tile);
}

INLINE int64_t sm_row_as(int as, const int32_t *index, const float *value, int64_t at, int64_t end, int64_t total, int64_t k0,
                         int64_t limit, const void *tile, float *out, int add) {
  return as == AS_ROUNDED ? sm_row_bf16(index, value, at, end, total, k0, limit, tile, out, add)
              : sm_row(index, value, at, end, k0, limit, tile, out, add);
}

/* All rows over one tile. The rows of out and the lists lie too far apart for the hardware to foresee the next one. */
INLINE void sm_tile(int as, const int32_t *start, const int32_t *index, const float *value, int32_t *cursor, int64_t rows,
                    int64_t total, int64_t k0, int64_t limit, const void *tile, float *out, int64_t ld, int add) {
  for (int64_t r = 0; r < rows; r++, out += ld) {
    const int64_t next = cursor[MIN(r + SM_AHEAD, rows - 1)];
    __builtin_prefetch(index + next);
    __builtin_prefetch(value + next);
    __builtin_prefetch(index + next + 16);
    __builtin_prefetch(value + next + 16);
#pragma GCC unroll 16
    for (int j = 0; j < SM_COLS; j += 16) __builtin_prefetch(out + SM_AHEAD * ld + j, 1);
    cursor[r] = (int32_t)sm_row_as(as, index, value, cursor[r], start[r + 1], total, k0, limit, tile, out, add);
  }
}

/* out [rows, cols] += sums [rows][SM_COLS] of a block of rows. */
INLINE void sm_add_sums(const float *sums, int64_t rows, float *out, int64_t stride, int64_t cols) {
  for (int64_t r = 0; r < rows; r++, sums += SM_COLS, out += stride)
    for (int64_t c = 0; c < cols; c++) out[c] += sums[c];
}

/* The same for the last columns, fewer than SM_COLS: through a padded copy of the row. */
INLINE void sm_tile_edge(int as, const int32_t *start, const int32_t *index, const float *value, int32_t *cursor,
                         int64_t rows, int64_t total, int64_t k0, int64_t limit, const void *tile, float *out, int64_t ld, int add,
                         int64_t cols) {
  float padded[SM_COLS] __attribute__((aligned(64)));
  for (int64_t c = 0; c < SM_COLS; c++) padded[c] = 0;
  for (int64_t r = 0; r < rows; r++, out += ld) {
    for (int64_t c = 0; c < cols; c++) padded[c] = out[c];
    cursor[r] = (int32_t)sm_row_as(as, index, value, cursor[r], start[r + 1], total, k0, limit, tile, padded, add);
    for (int64_t c = 0; c < cols; c++) out[c] = padded[c];
  }
}

INLINE void sm_rows(int as, const int32_t *start, const int32_t *index, const float *value, const void *b, int64_t bRow,
                    int64_t bCol, float *out, int64_t stride, int64_t k, int64_t total, int64_t r0, int64_t r1, int64_t n0, int64_t n1,
                    int accumulate, int apart, int64_t tileRows, void *scratch) {
  float *sums = scratch;
  int32_t *cursor = (int32_t *)(sums + SM_SUMS);
  void *tile = cursor + SM_ROW_BLOCK;
  for (int64_t block = r0; block < r1; block += SM_ROW_BLOCK) {
    const int64_t rows = MIN(SM_ROW_BLOCK, r1 - block);
    for (int64_t c = n0; c < n1; c += SM_COLS) {
      const int64_t cols = MIN(SM_COLS, n1 - c);
      float *o = apart ? sums : out + block * stride + c;
      const int64_t ld = apart ? SM_COLS : stride;
      for (int64_t r = 0; r < rows; r++) cursor[r] = start[block + r];
      for (int64_t k0 = 0; k0 < k; k0 += tileRows) {
        const int64_t limit = MIN(k, k0 + tileRows);
        const int add = accumulate || k0 > 0;
        sm_pack_as(as, (const char *)b + (k0 * bRow + c * bCol) * (as == AS_STORED ? 2 : 4), bRow, bCol, limit - k0, cols, tile);
        if (apart || cols == SM_COLS) sm_tile(as, start + block, index, value, cursor, rows, total, k0, limit, tile, o, ld, add);
        else sm_tile_edge(as, start + block, index, value, cursor, rows, total, k0, limit, tile, o, ld, add, cols);
      }
      if (apart) sm_add_sums(sums, rows, out + block * stride + c, stride, cols);
    }
  }
}

/* Places in blocks of `size` columns, `kept` in each; place is NULL for any list. */
typedef struct {
  const uint8_t *place;
  int64_t kept, size;
} sm_blocks;

/* One row's non-zeros in the `count` blocks of a tile, added to out [SM_COLS]. */
INLINE void sm_row_of_blocks(sm_blocks blocks, const float *value, int64_t count, const float *tile, float *out, int add) {
  const uint8_t *place = blocks.place;
  vf acc[SM_VECTORS];
#pragma GCC unroll 16
  for (int j = 0; j < SM_VECTORS; j++) acc[j] = add ? load(out + j * VL) : (vf){0};
  for (int64_t block = 0; block < count; block++, tile += blocks.size * SM_COLS)
    for (int64_t e = 0; e < blocks.kept; e++) {
      const float *row = tile + (int64_t)*place++ * SM_COLS;
      const vf v = splat(*value++);
#pragma GCC unroll 16
      for (int j = 0; j < SM_VECTORS; j++) acc[j] += v * *(const vf *)(row + j * VL);
    }
#pragma GCC unroll 16
  for (int j = 0; j < SM_VECTORS; j++) store(out + j * VL, acc[j]);
}

/* All rows over one tile; the places and values of the next row lie `perRow` behind. */
INLINE void sm_tile_of_blocks(sm_blocks blocks, const float *value, int64_t perRow, int64_t rows, int64_t count,
                              const float *tile, float *out, int64_t ld, int add, int64_t cols) {
  float padded[SM_COLS] __attribute__((aligned(64)));
  for (int64_t c = 0; c < SM_COLS; c++) padded[c] = 0;
  for (int64_t r = 0; r < rows; r++, out += ld, blocks.place += perRow, value += perRow) {
    const int64_t next = SM_AHEAD * perRow;
    __builtin_prefetch(blocks.place + next);
    __builtin_prefetch(value + next);
    __builtin_prefetch(value + next + 16);
    __builtin_prefetch(value + next + 32);
#pragma GCC unroll 16
    for (int j = 0; j < SM_COLS; j += 16) __builtin_prefetch(out + SM_AHEAD * ld + j, 1);
    if (cols == SM_COLS) {
      sm_row_of_blocks(blocks, value, count, tile, out, add);
    } else {
      for (int64_t c = 0; c < cols; c++) padded[c] = out[c];
      sm_row_of_blocks(blocks, value, count, tile, padded, add);
      for (int64_t c = 0; c < cols; c++) out[c] = padded[c];
    }
  }
}

#define SM_ROW_COST 4 /* non-zeros: one way of a row's sums to memory and back */

/* Rows of a tile for a density: 12 non-zeros of a row should fall into it at least, within L1 for the denser half. */
INLINE int64_t sm_tile_rows(int as, int64_t m, int64_t k, int64_t nonZeros) {
  const int64_t rowBytes = SM_COLS * (as == AS_ROUNDED ? 2 : 4);
  const double perColumn = (double)nonZeros / ((double)m * (double)k);
  int64_t rows = SM_TILE_BYTES / rowBytes;
  while (rows * 2 * rowBytes <= SM_MAX_TILE && rows * perColumn < 12) rows *= 2;
  return rows;
}

/* A product by sparse rows: the operands, and how b is read. */
typedef struct {
  const int32_t *start, *index;
  const float *value;
  const void *b;
  float *out;
  int64_t m, n, k, bRow, bCol, stride; /* bRow, bCol: between the elements of b */
  int accumulate;
  int apart; /* instead of `accumulate`: out may be far larger than the terms and is rounded once, when their sum is complete */
  sm_blocks blocks;
} sm_product;

/* sm_rows for lists in blocks. */
INLINE void sm_rows_of_blocks(int as, sm_product p, int64_t r0, int64_t r1, int64_t n0, int64_t n1, int64_t tileRows, float *scratch) {
  const sm_blocks all = p.blocks;
  const int64_t perRow = p.k / all.size * all.kept, tileBlocks = tileRows / all.size, ld = p.apart ? SM_COLS : p.stride;
  float *sums = scratch, *tile = sums + SM_SUMS;
  for (int64_t block = r0; block < r1; block += SM_ROW_BLOCK)
    for (int64_t c = n0; c < n1; c += SM_COLS) {
      const int64_t rows = MIN(SM_ROW_BLOCK, r1 - block), cols = MIN(SM_COLS, n1 - c);
      float *out = p.out + block * p.stride + c;
      for (int64_t k0 = 0; k0 < p.k; k0 += tileBlocks * all.size) {
        const int64_t count = MIN(tileBlocks, (p.k - k0) / all.size), at = block * perRow + k0 / all.size * all.kept;
        const void *b = (const char *)p.b + (k0 * p.bRow + c * p.bCol) * (as == AS_STORED ? 2 : 4);
        sm_pack_as(as, b, p.bRow, p.bCol, count * all.size, cols, tile);
        sm_tile_of_blocks((sm_blocks){all.place + at, all.kept, all.size}, p.value + at, perRow, rows, count, tile,
                          p.apart ? sums : out, ld, p.accumulate || k0 > 0, p.apart ? SM_COLS : cols);
      }
      if (p.apart) sm_add_sums(sums, rows, out, p.stride, cols);
    }
}

/* The share of a part. */
INLINE void sm_part(int as, sm_product p, work w) {
  const int64_t tileRows = sm_tile_rows(as, p.m, p.k, p.start[p.m]);
  /* Column tiles are divided where they come out even: then no part packs what another one packs. Else rows, if many. */
  const int64_t tiles = (p.n + SM_COLS - 1) / SM_COLS;
  int64_t r0 = 0, r1 = p.m, n0 = 0, n1 = p.n;
  if (tiles % w.parts == 0 || tiles >= 8 * w.parts) {
    share(p.n, SM_COLS, w, &n0, &n1);
  } else if (p.m >= 64 * w.parts) {
    r0 = split_rows(p.start, p.m, SM_ROW_COST, w.part, w.parts);
    r1 = split_rows(p.start, p.m, SM_ROW_COST, w.part + 1, w.parts);
  } else {
    share(p.n, VL, w, &n0, &n1);
  }
  if (r0 >= r1 || n0 >= n1 || (p.apart && p.k == 0)) return;
  if (as != AS_ROUNDED && p.blocks.place && p.blocks.size <= tileRows)
    sm_rows_of_blocks(as, p, r0, r1, n0, n1, tileRows, w.scratch);
  else
    sm_rows(as, p.start, p.index, p.value, p.b, p.bRow, p.bCol, p.out, p.stride, p.k, p.start[p.m], r0, r1, n0, n1, p.accumulate,
            p.apart, tileRows, w.scratch);
}

/* Of the slots place, kept, blockSize. */
INLINE sm_blocks sm_blocks_of(const double *args) { return (sm_blocks){(const uint8_t *)PI(0), INT(1), INT(2)}; }

INLINE sm_product sm_product_of(const double *args) {
  const int64_t k = INT(7), stride = INT(10), transposed = INT(8);
  return (sm_product){PI(0), PI(1), PF(2), PF(3), PF(4), INT(5), INT(6), k, transposed ? 1 : stride, transposed ? k : 1, stride, INT(9), 0,
                      sm_blocks_of(args + 12)};
}

/* One function for each precision: neither takes registers from the other. */
NOINLINE void sparse_matmul_f32(const double *args, work w) { sm_part(AS_F32, sm_product_of(args), w); }
NOINLINE void sparse_matmul_bf16(const double *args, work w) { sm_part(AS_ROUNDED, sm_product_of(args), w); }

static void sparse_matmul(const double *args, work w) {
  if (INT(11)) sparse_matmul_bf16(args, w);
  else sparse_matmul_f32(args, w);
}
