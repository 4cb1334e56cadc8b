/* weight_tiles: the product of weight_matmul for int8 and ternary weights and lists: many tokens, each with its own non-zeros.
 *
 * As in sparse_matmul.c a tile of w is copied into L1 and all tokens of a block pass over it, four of their rows at a time, with their
 * sums in registers; ternary weights are unpacked into bytes on the way. Before that each token's list is split by the sign of the
 * inputs and by blocks of rows, in bytes, so that the inner loop only follows it (weight_row.h says why signs are apart). A piece of w
 * that the tiles are copied from is asked into L2 while the piece before it is worked on: with few tokens the product is bound by the
 * memory, and the tiles by themselves would read it in too short runs.
 */
#include "weight_stream.h"

#define WT_ROWS 128
#define WT_COLS (VL == 4 ? 128 : 4 * VB) /* whole ternary chunks; a tile of 128 is 16 KB */
#define WT_PIECE_COLS 1024
#define WT_TOKENS 64
#define WT_SUM_BYTES (128 << 10)

/* One token's inputs of one block of rows: quads of negative inputs, then of positive ones. */
typedef struct {
  int32_t first; /* in `row` and `magnitude` */
  int16_t negative, positive; /* quads */
} tile_list;

/* Everything of a block of tokens, in the scratch. */
typedef struct {
  tile_list *list; /* [blocks of rows][tokens] */
  uint8_t *row, *magnitude;
  vi *sums; /* [tokens][piece of columns in slot order] */
  uint8_t *tile; /* [WT_ROWS][WT_COLS] */
} tile_memory;

/* Blocks end with their group, so that the sums of each have one scale. */
INLINE int64_t block_rows(int64_t row0, int64_t k, int64_t groupRows) {
  return MIN(MIN(WT_ROWS, k - row0), groupRows - row0 % groupRows);
}

INLINE int64_t count_blocks(int64_t k, int64_t groupRows) {
  const int64_t inGroup = (groupRows + WT_ROWS - 1) / WT_ROWS;
  return k / groupRows * inGroup + (k % groupRows + WT_ROWS - 1) / WT_ROWS;
}

/* Bytes that the lists of a token need at most: every block fills up two lists to quads. */
INLINE int64_t list_bytes(int64_t k, int64_t blocks) { return 2 * (k + 6 * blocks + 1) + blocks * (int64_t)sizeof(tile_list); }

/* Smaller groups would need more memory for their lists than for what is in them, and are streamed. */
#define WT_LEAST_GROUP 32

/* Signs are as good as random, so that nothing branches on them: each input is written, and stays if it was wanted. */
INLINE int64_t append_quads(const int32_t *index, const int8_t *x, int64_t e, int64_t end, int negative, int64_t row0, tile_memory *m,
                            int32_t *at) {
  const int32_t begin = *at;
  int32_t to = begin;
  for (; e < end; e++) {
    const int32_t value = negative ? -x[e] : x[e];
    m->row[to] = (uint8_t)(index[e] - row0);
    m->magnitude[to] = (uint8_t)value;
    to += negative ? value > 0 : value >= 0;
  }
  for (; (to - begin) % 4; to++) m->row[to] = m->row[begin], m->magnitude[to] = 0;
  *at = to;
  return (to - begin) / 4;
}

/* The lists of `tokens` tokens from `token` on. */
INLINE void make_tile_lists(const int32_t *start, const int32_t *index, const int8_t *x, int64_t token, int64_t tokens, int64_t k,
                            int64_t groupRows, tile_memory *m) {
  int32_t at = 0;
  for (int64_t t = 0; t < tokens; t++) {
    int64_t e = start[token + t];
    const int64_t end = start[token + t + 1];
    for (int64_t row0 = 0, b = 0, rows; row0 < k; row0 += rows, b++) {
      rows = block_rows(row0, k, groupRows);
      int64_t stop = e;
      while (stop < end && index[stop] < row0 + rows) stop++;
      tile_list *list = &m->list[b * tokens + t];
      list->first = at;
      list->negative = (int16_t)append_quads(index, x, e, stop, 1, row0, m, &at);
      list->positive = (int16_t)append_quads(index, x, e, stop, 0, row0, m, &at);
      e = stop;
    }
  }
}

/* tile [rows][WT_COLS] = columns c .. c + cols of the rows, 0 behind them. */
INLINE void copy_tile(int ternary, stored_rows w, int64_t rows, int64_t c, int64_t cols, uint8_t *tile) {
  for (int64_t r = 0; r < rows; r++, tile += WT_COLS) {
    const uint8_t *row = w.w + r * w.rowBytes;
    if (ternary) {
      for (int64_t i = 0; i < WT_COLS; i += TERNARY_CHUNK_COLS)
        if (i < cols) unpack_ternary(row + (c + i) / 4, (int8_t *)tile + i);
      continue;
    }
    int64_t i = 0;
    for (; i + VB <= MIN(cols, WT_COLS); i += VB) *(vb *)(tile + i) = load_bytes(row + c + i);
    if (i < cols && i < WT_COLS) *(vb *)(tile + i) = load_some_bytes(row + c + i, cols - i);
  }
}

/* Lines of the next piece of w, asked into L2 one at a time: many at once would stop the core until the memory has taken them. */
typedef struct {
  const uint8_t *at;
  int64_t rowBytes, bytes, rows, byte;
} line_stream;

INLINE void ask_line(line_stream *s) {
  if (s->rows == 0) return;
  __builtin_prefetch(s->at + s->byte, 0, 2);
  s->byte += 64;
  if (s->byte < s->bytes) return;
  s->byte = 0;
  s->at += s->rowBytes;
  s->rows--;
}

#define WT_VECTORS 8 /* sums at a time: 2 VB columns */

INLINE void add_tile_quads(const uint8_t *tile, const uint8_t *row, const uint8_t *magnitude, int64_t quads, line_stream *ahead, vi *s) {
  for (int64_t q = 0; q < quads; q++, row += 4, magnitude += 4) {
    const uint8_t *r0 = tile + row[0] * WT_COLS, *r1 = tile + row[1] * WT_COLS;
    const uint8_t *r2 = tile + row[2] * WT_COLS, *r3 = tile + row[3] * WT_COLS;
    const vi x4 = splat_quad(magnitude);
    ask_line(ahead);
    add_quad_rows(s, x4, *(const vb *)r0, *(const vb *)r1, *(const vb *)r2, *(const vb *)r3);
    add_quad_rows(s + 4, x4, *(const vb *)(r0 + VB), *(const vb *)(r1 + VB), *(const vb *)(r2 + VB), *(const vb *)(r3 + VB));
  }
}

/* A token's sums of the tile's columns. */
INLINE void tile_token(const tile_list *list, const tile_memory *m, line_stream *ahead, vi *sums) {
  const uint8_t *row = m->row + list->first, *magnitude = m->magnitude + list->first;
  line_stream lines = *ahead; /* in registers */
#pragma GCC unroll 4
  for (int h = 0; h < WT_COLS / (2 * VB); h++, sums += WT_VECTORS) {
    const uint8_t *tile = m->tile + h * 2 * VB;
    vi s[WT_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < WT_VECTORS; i++) s[i] = -sums[i];
    add_tile_quads(tile, row, magnitude, list->negative, &lines, s);
#pragma GCC unroll 8
    for (int i = 0; i < WT_VECTORS; i++) s[i] = -s[i];
    add_tile_quads(tile, row + 4 * list->negative, magnitude + 4 * list->negative, list->positive, &lines, s);
#pragma GCC unroll 8
    for (int i = 0; i < WT_VECTORS; i++) sums[i] = s[i];
  }
  *ahead = lines;
}

/* A piece of the columns for a block of tokens. */
INLINE void tile_piece(int ternary, const double *args, tile_memory *m, int64_t token, int64_t tokens, int64_t c0, int64_t cols) {
  const int64_t k = INT(11), n = INT(12), groupRows = ternary ? k : INT(7);
  const int64_t perByte = ternary ? 4 : 1, wide = (cols + WT_COLS - 1) / WT_COLS, stride = wide * (WT_COLS / VL);
  stored_rows w = {(const uint8_t *)PF(4) + c0 / perByte, INT(5)};
  for (int64_t i = 0; i < tokens * stride; i++) m->sums[i] = (vi){0};
  for (int64_t row0 = 0, b = 0, rows; row0 < k; row0 += rows, b++, w.w += rows * w.rowBytes) {
    rows = block_rows(row0, k, groupRows);
    const int64_t after = row0 + rows < k ? block_rows(row0 + rows, k, groupRows) : 0;
    line_stream ahead = {w.w + rows * w.rowBytes, w.rowBytes, cols / perByte, after, 0};
    for (int64_t t = 0; t < wide; t++) {
      copy_tile(ternary, w, rows, t * WT_COLS, cols - t * WT_COLS, m->tile);
      for (int64_t i = 0; i < tokens; i++) tile_token(&m->list[b * tokens + i], m, &ahead, m->sums + i * stride + t * (WT_COLS / VL));
    }
    if (row0 + rows < k && (row0 + rows) % groupRows) continue;
    for (int64_t i = 0; i < tokens; i++) {
      const float *scale = PF(6) + row0 / groupRows * n + c0;
      add_scaled(m->sums + i * stride, scale, PF(3)[token + i], PF(9) + (token + i) * n + c0, cols);
    }
    for (int64_t i = 0; i < tokens * stride; i++) m->sums[i] = (vi){0};
  }
}

INLINE void tile_tokens(int ternary, const double *args, work w) {
  const int64_t tokens = INT(10), k = INT(11), n = INT(12), groupRows = ternary ? k : INT(7), blocks = count_blocks(k, groupRows);
  int64_t first, last;
  share(n, 128, w, &first, &last);
  tile_memory m = {.tile = w.scratch, .sums = (vi *)((char *)w.scratch + WT_ROWS * WT_COLS)};
  char *free = (char *)m.sums + WT_SUM_BYTES;
  const int64_t room = SCRATCH_BYTES - WT_ROWS * WT_COLS - WT_SUM_BYTES;
  const int64_t most = MAX(1, MIN(WT_TOKENS, room / list_bytes(k, blocks)));
  for (int64_t t = 0; !INT(13) && t < tokens; t++)
    for (int64_t c = first; c < last; c++) PF(9)[t * n + c] = 0;
  for (int64_t token = 0; token < tokens; token += most) {
    const int64_t count = MIN(most, tokens - token);
    m.list = (tile_list *)free;
    m.row = (uint8_t *)(m.list + blocks * count);
    m.magnitude = m.row + (k + 6 * blocks) * count + 1;
    make_tile_lists(PI(0), PI(1), (const int8_t *)PF(2), token, count, k, groupRows, &m);
    const int64_t piece = MIN(WT_PIECE_COLS, WT_SUM_BYTES / 4 / count / WT_COLS * WT_COLS);
    for (int64_t c = first; c < last; c += piece) tile_piece(ternary, args, &m, token, count, c, MIN(piece, last - c));
  }
}

NOINLINE void tiles_int8(const double *args, work w) { tile_tokens(0, args, w); }
NOINLINE void tiles_ternary(const double *args, work w) { tile_tokens(1, args, w); }
