/* weight_few: the product of weight_matvec for 2 to FEW tokens at once.
 *
 * The rows that any of the tokens needs are read once, 8 side by side as for one token, and added to each token with its own inputs (0
 * where a token does not need the row). So the bytes are those of the union of the lists, 1 - S^tokens of the matrix for independent lists, and
 * the arithmetic hides behind them. A token's additions run in the order of its rows, terms of 0 between them: a row of out has the same
 * bits as that token alone.
 *
 * Inputs are gathered for a block of rows at a time: the union as a list, and the tokens' inputs in the order of the groups. int8: weights are
 * widened to words, because inputs of both signs meet one row; ternary: as for one token.
 */
#include "weight_stream.h"

#define FEW 8
#define FEW_ROWS 2048  /* of a block */
#define FEW_COLS 2048  /* of a piece: the sums of 8 tokens are 64 KB */
#define FEW_OWN_STRIDE (FEW_COLS + 16) /* a power of two would put the tokens' sums into the same lines of L1 */
#define FEW_GROUPS (FEW_ROWS / STREAMS)

/* The inputs of a block of rows. In `x` a token's inputs of a group stand together: STREAMS floats, or words in the order of `word_of`, or bytes. */
typedef struct {
  int64_t count; /* of the union, filled up to whole groups with a row that is there */
  int32_t index[FEW_ROWS + STREAMS];
  uint8_t wanted[FEW_ROWS];
  float x[FEW_GROUPS + 1][FEW][STREAMS] __attribute__((aligned(64)));
} few_inputs;

/* int8: where the input of a group's row s stands: rows 0 and 2 share a lane, then 1 and 3, 4 and 6, 5 and 7 (widen_rows). */
INLINE int word_of(int s) { return (s / 4 * 2 + s % 2) * 2 + s % 4 / 2; }

typedef int16_t input_word __attribute__((may_alias));

INLINE void put_input(int type, float *x, int s, const void *values, int64_t e) {
  if (type == WEIGHT_TERNARY) ((int8_t *)x)[s] = ((const int8_t *)values)[e];
  else if (type == WEIGHT_INT8) ((input_word *)x)[word_of(s)] = ((const int8_t *)values)[e];
  else x[s] = ((const float *)values)[e];
}

/* Where each token's list stands. */
typedef struct {
  int64_t at[FEW];
} few_cursor;

/* Collects rows row0 .. row0 + rows of `tokens` tokens from `token` on. */
INLINE void few_gather(const double *args, int type, int64_t token, int64_t tokens, int64_t row0, int64_t rows, few_cursor *cursor,
                       few_inputs *to) {
  const int32_t *start = PI(0), *index = PI(1);
  const int64_t k = INT(11);
  int32_t place[FEW_ROWS];
  to->count = 0;
  if (start) {
    for (int64_t r = 0; r < rows; r++) to->wanted[r] = 0;
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t e = cursor->at[t]; e < start[token + t + 1] && index[e] < row0 + rows; e++) to->wanted[index[e] - row0] = 1;
  }
  for (int64_t r = 0; r < rows; r++) {
    place[r] = (int32_t)to->count;
    if (!start || to->wanted[r]) to->index[to->count++] = (int32_t)(row0 + r);
  }
  const int64_t groups = (to->count + STREAMS - 1) / STREAMS;
  for (int64_t i = to->count; i < groups * STREAMS; i++) to->index[i] = to->index[to->count - 1];
  for (int64_t g = 0; g < groups; g++)
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t s = 0; s < STREAMS; s++) to->x[g][t][s] = 0;
  for (int64_t t = 0; t < tokens; t++) {
    int64_t e = start ? cursor->at[t] : (token + t) * k + row0;
    const int64_t end = start ? start[token + t + 1] : e + rows;
    for (int64_t r = 0; e < end; e++, r++) {
      const int64_t row = start ? index[e] - row0 : r;
      if (row >= rows) break;
      put_input(type, to->x[place[row] / STREAMS][t], place[row] % STREAMS, PF(2), e);
    }
    cursor->at[t] = e;
  }
  to->count = groups * STREAMS;
}

/* ---- f32 and bf16 ------------------------------------------------------------------------------------------------------ */

INLINE void few_float_group(int bf16, const group *g, const float (*x)[STREAMS], int64_t tokens, float *out, int64_t stride, int64_t cols) {
  const int64_t size = bf16 ? 2 : 4;
  int64_t c = 0;
  for (; c + VL <= cols; c += VL) {
    if (c * size % 64 == 0) ask_ahead(g, c * size);
    vf w[STREAMS];
#pragma GCC unroll 8
    for (int s = 0; s < STREAMS; s++) w[s] = load_weights(bf16, g->row[s], c);
    for (int64_t t = 0; t < tokens; t++) {
      vf sum = load(out + t * stride + c);
#pragma GCC unroll 8
      for (int s = 0; s < STREAMS; s++) sum += x[t][s] * w[s];
      store(out + t * stride + c, sum);
    }
  }
  for (; c < cols; c++)
    for (int64_t t = 0; t < tokens; t++)
      for (int s = 0; s < STREAMS; s++) out[t * stride + c] += x[t][s] * weight_at(bf16, g->row[s], c);
}

INLINE void few_float(int bf16, const double *args, work w, int64_t token, int64_t tokens) {
  const int64_t k = INT(11), n = INT(12), accumulate = INT(13);
  int64_t first, last;
  share(n, 64, w, &first, &last);
  few_inputs *in = w.scratch;
  float *own = (float *)(in + 1);
  for (int64_t c = first; c < last; c += FEW_COLS) {
    const int64_t cols = MIN(FEW_COLS, last - c), stride = accumulate ? FEW_OWN_STRIDE : n;
    const stored_rows rows = {(const uint8_t *)PF(4) + c * (bf16 ? 2 : 4), INT(5)};
    float *out = PF(9) + token * n + c, *sums = accumulate ? own : out;
    few_cursor cursor = {{0}};
    for (int64_t t = 0; PI(0) && t < tokens; t++) cursor.at[t] = PI(0)[token + t];
    for (int64_t t = 0; t < tokens; t++) clear_sums(sums + t * stride, cols);
    for (int64_t row0 = 0; row0 < k; row0 += FEW_ROWS) {
      few_gather(args, WEIGHT_F32, token, tokens, row0, MIN(FEW_ROWS, k - row0), &cursor, in);
      for (int64_t i = 0; i < in->count; i += STREAMS) {
        const group g = group_of(rows, in->index, i, in->count);
        few_float_group(bf16, &g, in->x[i / STREAMS], tokens, sums, stride, cols);
      }
    }
    for (int64_t t = 0; accumulate && t < tokens; t++) add_sums(own + t * stride, out + t * n, cols);
  }
}

NOINLINE void few_f32(const double *args, work w, int64_t token, int64_t tokens) { few_float(0, args, w, token, tokens); }
NOINLINE void few_bf16(const double *args, work w, int64_t token, int64_t tokens) { few_float(1, args, w, token, tokens); }

/* ---- int8 ----------------------------------------------------------------------------------------------------------------- */

/* The widened weights of 8 rows and VB columns: for each of 4 vectors of columns the rows (0, 2), (1, 3), (4, 6), (5, 7). */
typedef struct {
  vw pair[4][4];
} wide_rows;

INLINE wide_rows widen_rows(const vb *r) {
  wide_rows wide;
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++) {
    vb quad[4];
    mix_rows(r[4 * h], r[4 * h + 1], r[4 * h + 2], r[4 * h + 3], quad);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      wide.pair[i][2 * h] = (vw)quad[i] << 8 >> 8;
      wide.pair[i][2 * h + 1] = (vw)quad[i] >> 8;
    }
  }
  return wide;
}

INLINE void few_int8_columns(const vb *r, const float (*x)[STREAMS], int64_t tokens, vi *sums, int64_t stride) {
  const wide_rows wide = widen_rows(r);
  for (int64_t t = 0; t < tokens; t++, sums += stride) {
    const uint8_t *words = (const uint8_t *)x[t];
    vi two[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) two[p] = splat_quad(words + 4 * p);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      vi sum = sums[i];
#pragma GCC unroll 4
      for (int p = 0; p < 4; p++) sum = add_words(sum, (vi)wide.pair[i][p], two[p]);
      sums[i] = sum;
    }
  }
}

INLINE void few_int8_group(const group *g, const float (*x)[STREAMS], int64_t tokens, vi *sums, int64_t stride, int64_t cols) {
  vb r[STREAMS];
  int64_t c = 0;
  for (; c + VB <= cols; c += VB, sums += 4) {
    if (c % 64 == 0) ask_ahead(g, c);
#pragma GCC unroll 8
    for (int s = 0; s < STREAMS; s++) r[s] = load_bytes(g->row[s] + c);
    few_int8_columns(r, x, tokens, sums, stride);
  }
  if (c == cols) return;
  for (int s = 0; s < STREAMS; s++) r[s] = load_some_bytes(g->row[s] + c, cols - c);
  few_int8_columns(r, x, tokens, sums, stride);
}

NOINLINE void few_int8(const double *args, work w, int64_t token, int64_t tokens) {
  const int64_t k = INT(11), n = INT(12), groupRows = INT(7), block = MIN(FEW_ROWS, groupRows);
  int64_t first, last;
  share(n, 64, w, &first, &last);
  few_inputs *in = w.scratch;
  vi *sums = (vi *)(in + 1);
  const int64_t stride = FEW_COLS / VL;
  for (int64_t c = first; c < last; c += FEW_COLS) {
    const int64_t cols = MIN(FEW_COLS, last - c);
    const stored_rows rows = {(const uint8_t *)PF(4) + c, INT(5)};
    float *out = PF(9) + token * n + c;
    few_cursor cursor = {{0}};
    for (int64_t t = 0; PI(0) && t < tokens; t++) cursor.at[t] = PI(0)[token + t];
    for (int64_t t = 0; !INT(13) && t < tokens; t++)
      for (int64_t i = 0; i < cols; i++) out[t * n + i] = 0;
    for (int64_t row0 = 0, end; row0 < k; row0 = end) {
      if (row0 % groupRows == 0)
        for (int64_t i = 0; i < tokens * stride; i++) sums[i] = (vi){0};
      const int64_t limit = MIN(k, (row0 / groupRows + 1) * groupRows);
      end = MIN(limit, row0 + block);
      few_gather(args, WEIGHT_INT8, token, tokens, row0, end - row0, &cursor, in);
      for (int64_t i = 0; i < in->count; i += STREAMS) {
        const group g = group_of(rows, in->index, i, in->count);
        few_int8_group(&g, in->x[i / STREAMS], tokens, sums, stride, cols);
      }
      for (int64_t t = 0; end == limit && t < tokens; t++)
        add_scaled(sums + t * stride, PF(6) + row0 / groupRows * n + c, PF(3)[token + t], out + t * n, cols);
    }
  }
}

/* ---- ternary ---------------------------------------------------------------------------------------------------------------- */

INLINE void few_ternary_chunk(const group *g, int64_t at, const float (*x)[STREAMS], int64_t tokens, tw *sums, int64_t stride) {
#pragma GCC unroll 2
  for (int64_t q = 0; q < TERNARY_CHUNK_BYTES; q += TB, sums += 8) {
#pragma GCC unroll 2
    for (int upper = 0; upper < 2; upper++) {
      tb mixed[STREAMS / 2];
#pragma GCC unroll 4
      for (int p = 0; p < STREAMS / 2; p++) {
        const tb a = load_codes(g->row[2 * p] + at + q), b = load_codes(g->row[2 * p + 1] + at + q);
        mixed[p] = upper ? mix_codes_upper(a, b) : mix_codes_lower(a, b);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        tu codes[STREAMS / 2];
#pragma GCC unroll 4
        for (int p = 0; p < STREAMS / 2; p++) codes[p] = codes_at(mixed[p], i);
        tw *sum = sums + 2 * i + upper;
        for (int64_t t = 0; t < tokens; t++, sum += stride) {
          tw all = *sum;
#pragma GCC unroll 4
          for (int p = 0; p < STREAMS / 2; p++) all = add_codes(all, codes[p], splat_inputs((const int8_t *)x[t] + 2 * p));
          *sum = all;
        }
      }
    }
  }
}

NOINLINE void few_ternary(const double *args, work w, int64_t token, int64_t tokens) {
  const int64_t k = INT(11), n = INT(12);
  int64_t first, last;
  share(n, TERNARY_CHUNK_COLS, w, &first, &last);
  few_inputs *in = w.scratch;
  int32_t *sums32 = (int32_t *)(in + 1);
  tw *sums16 = (tw *)(sums32 + FEW * FEW_COLS);
  const int64_t stride = 2 * FEW_COLS / TB;
  for (int64_t c = first; c < last; c += FEW_COLS) {
    const int64_t cols = MIN(FEW_COLS, last - c), chunks = (cols + TERNARY_CHUNK_COLS - 1) / TERNARY_CHUNK_COLS;
    const stored_rows rows = {(const uint8_t *)PF(4) + c / 4, INT(5)};
    few_cursor cursor = {{0}};
    int32_t total[FEW] = {0};
    for (int64_t t = 0; PI(0) && t < tokens; t++) cursor.at[t] = PI(0)[token + t];
    for (int64_t i = 0; i < tokens * FEW_COLS; i++) sums32[i] = 0;
    for (int64_t i = 0; i < tokens * stride; i++) sums16[i] = (tw){0};
    for (int64_t row0 = 0; row0 < k; row0 += FEW_ROWS) {
      few_gather(args, WEIGHT_TERNARY, token, tokens, row0, MIN(FEW_ROWS, k - row0), &cursor, in);
      for (int64_t i = 0; i < in->count; i += STREAMS) {
        const group g = group_of(rows, in->index, i, in->count);
        for (int64_t t = 0; t < tokens; t++)
          for (int s = 0; s < STREAMS; s++) total[t] += ((const int8_t *)in->x[i / STREAMS][t])[s];
        for (int64_t j = 0; j < chunks; j++) {
          if (j % 2 == 0) ask_ahead(&g, j * TERNARY_CHUNK_BYTES);
          few_ternary_chunk(&g, j * TERNARY_CHUNK_BYTES, in->x[i / STREAMS], tokens, sums16 + j * TERNARY_VECTORS, stride);
        }
        if ((i / STREAMS + 1) % (PAIR_STEPS / (STREAMS / 2)) == 0 || i + STREAMS == in->count)
          for (int64_t t = 0; t < tokens; t++) widen_sums(sums16 + t * stride, sums32 + t * FEW_COLS, chunks * TERNARY_VECTORS);
      }
    }
    for (int64_t t = 0; t < tokens; t++)
      store_ternary(sums32 + t * FEW_COLS, total[t], PF(6) + c, PF(3)[token + t], PF(9) + (token + t) * n + c, cols, INT(13));
  }
}
