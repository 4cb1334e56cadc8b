/* weight_matvec: out [tokens, n] (+)= x w for one token, or a few (weight_few.c); only the rows of w at their non-zeros are read.
 *
 * One token is bound by the memory, and a zero saves a whole row of w. Rows are streamed (weight_stream.h) and added to the sums of a part's
 * columns, which stay in L1. To accumulate they are complete before they are added to out.
 *
 * int8: rows of negative inputs first, with their magnitudes; the sums are negated, and the others added (weight_row.h says why). ternary: a
 * weight's code is w + 1 = 0, 1 or 2, so that a pair of codes times a pair of inputs is one step of 16 bits, 64 of which may be added
 * before they are moved into 32 bits; the sum of all inputs is taken off at the end. Integer sums are exact.
 * Columns are divided between the parts; a float column's additions run in the order of the rows, whatever the parts.
 *
 * weight_matvec: start, index, value, xScale, w, rowBytes, wScale, groupRows, dtype, out, tokens, k, n, accumulate
 * start and index are 0 for dense x; xScale and wScale are 0 for f32 and bf16 weights.
 */
#include "weight_few.c"

#define MAX_INPUTS (1 << 17) /* sums of products of bytes fit 32 bits; also sizes the lists below */
#define PIECE_COLS 8192 /* their sums are 32 KB */

/* ---- f32 and bf16 ------------------------------------------------------------------------------------------------------ */

/* out [cols] += x[s] times row s, over the streams. */
INLINE void float_group(int bf16, int ahead, const group *g, const float *x, float *out, int64_t cols) {
  const int64_t size = bf16 ? 2 : 4;
  int64_t c = 0;
  for (; c + VL <= cols; c += VL) {
    vf sum = load(out + c);
    if (ahead && c * size % 64 == 0) ask_ahead(g, c * size);
#pragma GCC unroll 8
    for (int s = 0; s < STREAMS; s++) sum += x[s] * load_weights(bf16, g->row[s], c);
    store(out + c, sum);
  }
  for (; c < cols; c++)
    for (int s = 0; s < STREAMS; s++) out[c] += x[s] * weight_at(bf16, g->row[s], c);
}

INLINE void float_single(int bf16, const uint8_t *row, float x, float *out, int64_t cols) {
  int64_t c = 0;
  for (; c + VL <= cols; c += VL) store(out + c, load(out + c) + x * load_weights(bf16, row, c));
  for (; c < cols; c++) out[c] += x * weight_at(bf16, row, c);
}

INLINE void float_token(int bf16, stored_rows rows, const int32_t *index, const float *x, int64_t count, float *out, int64_t cols) {
  const int ahead = cols * (bf16 ? 2 : 4) < SHORT_PIECE;
  int64_t i = 0;
  for (; i + STREAMS <= count; i += STREAMS) {
    const group g = group_of(rows, index, i, count);
    if (ahead) float_group(bf16, 1, &g, x + i, out, cols);
    else float_group(bf16, 0, &g, x + i, out, cols);
  }
  for (; i < count; i++) float_single(bf16, rows.w + index[i] * rows.rowBytes, x[i], out, cols);
}

#define IDENTITY 4096 /* dense rows go by a list as well: 0, 1, 2, ... */

INLINE void one_float(int bf16, const double *args, work w, int64_t token) {
  const int32_t *start = PI(0), *index = PI(1);
  const float *value = PF(2);
  const int64_t k = INT(11), n = INT(12);
  int64_t first, last;
  share(n, 64, w, &first, &last);
  const stored_rows rows = {(const uint8_t *)PF(4) + first * (bf16 ? 2 : 4), INT(5)};
  int32_t *identity = w.scratch;
  float *own = (float *)(identity + IDENTITY);
  if (!start)
    for (int32_t i = 0; i < IDENTITY; i++) identity[i] = i;
  for (int64_t c = first; c < last; c += PIECE_COLS) {
    const int64_t cols = MIN(PIECE_COLS, last - c);
    float *out = PF(9) + token * n + c;
    stored_rows piece = {rows.w + (c - first) * (bf16 ? 2 : 4), rows.rowBytes};
    float *sums = INT(13) ? own : out;
    clear_sums(sums, cols);
    if (start) float_token(bf16, piece, index + start[token], value + start[token], start[token + 1] - start[token], sums, cols);
    for (int64_t i = 0; !start && i < k; i += IDENTITY, piece.w += IDENTITY * rows.rowBytes)
      float_token(bf16, piece, identity, value + token * k + i, MIN(IDENTITY, k - i), sums, cols);
    if (sums == own) add_sums(own, out, cols);
  }
}

/* One function for each type: none takes registers from another. */
NOINLINE void one_f32(const double *args, work w, int64_t token) { one_float(0, args, w, token); }
NOINLINE void one_bf16(const double *args, work w, int64_t token) { one_float(1, args, w, token); }

/* ---- int8 ----------------------------------------------------------------------------------------------------------------- */

/* Inputs of one sign, a multiple of the streams: what is too much multiplies a row that is there by 0. */
typedef struct {
  int32_t *index;
  uint8_t *magnitude;
  int64_t count;
} inputs;

/* Appends those of one sign among the inputs e .. end. Signs are as good as random, so that nothing branches on them: each input is written,
 * and stays if it was wanted. */
INLINE void append_inputs(inputs *to, const int32_t *index, const int8_t *x, int64_t e, int64_t end, int negative) {
  int64_t count = 0;
  for (; e < end; e++) {
    const int32_t value = negative ? -x[e] : x[e];
    to->index[count] = index ? index[e] : (int32_t)e;
    to->magnitude[count] = (uint8_t)value;
    count += negative ? value > 0 : value >= 0;
  }
  for (; count % STREAMS; count++) to->index[count] = to->index[0], to->magnitude[count] = 0;
  to->count = count;
}

/* The inputs e .. end of a token, below row `limit`, by their sign, in `memory`; returns where the next group of rows begins. */
INLINE int64_t part_by_sign(const int32_t *index, const int8_t *x, int64_t e, int64_t end, int64_t limit, void *memory,
                            inputs *negative, inputs *positive) {
  int64_t stop = index ? e : MIN(end, limit);
  while (index && stop < end && index[stop] < limit) stop++;
  int32_t *const rows = memory;
  uint8_t *const magnitudes = (uint8_t *)(rows + MAX_INPUTS + 2 * STREAMS);
  *negative = (inputs){rows, magnitudes, 0};
  append_inputs(negative, index, x, e, stop, 1);
  *positive = (inputs){rows + negative->count, magnitudes + negative->count, 0};
  append_inputs(positive, index, x, e, stop, 0);
  return stop;
}

/* sums [cols, in slot order] += 8 rows with their magnitudes. */
INLINE void int8_group(int ahead, const group *g, const uint8_t *magnitude, vi *sums, int64_t cols) {
  const uint8_t *const *row = g->row;
  const vi x0 = splat_quad(magnitude), x1 = splat_quad(magnitude + 4);
  int64_t c = 0;
  for (; c + VB <= cols; c += VB, sums += 4) {
    vi s[4] = {sums[0], sums[1], sums[2], sums[3]};
    if (ahead && c % 64 == 0) ask_ahead(g, c);
    add_quad_rows(s, x0, load_bytes(row[0] + c), load_bytes(row[1] + c), load_bytes(row[2] + c), load_bytes(row[3] + c));
    add_quad_rows(s, x1, load_bytes(row[4] + c), load_bytes(row[5] + c), load_bytes(row[6] + c), load_bytes(row[7] + c));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) sums[i] = s[i];
  }
  if (c == cols) return;
  vb rest[STREAMS];
  for (int s = 0; s < STREAMS; s++) rest[s] = load_some_bytes(row[s] + c, cols - c);
  add_quad_rows(sums, x0, rest[0], rest[1], rest[2], rest[3]);
  add_quad_rows(sums, x1, rest[4], rest[5], rest[6], rest[7]);
}

INLINE void int8_inputs(stored_rows rows, const inputs *list, vi *sums, int64_t cols) {
  for (int64_t i = 0; i < list->count; i += STREAMS) {
    const group g = group_of(rows, list->index, i, list->count);
    if (cols < SHORT_PIECE) int8_group(1, &g, list->magnitude + i, sums, cols);
    else int8_group(0, &g, list->magnitude + i, sums, cols);
  }
}

/* One token, one piece of the columns. */
INLINE void int8_token(const double *args, stored_rows rows, int64_t token, const float *scale, vi *sums, void *memory, float *out,
                       int64_t cols) {
  const int32_t *start = PI(0), *index = PI(1);
  const int64_t k = INT(11), n = INT(12), groupRows = INT(7);
  const int8_t *x = (const int8_t *)PF(2) + (start ? start[token] : token * k);
  if (start) index += start[token];
  const int64_t end = start ? start[token + 1] - start[token] : k, vectors = (cols + VB - 1) / VB * 4;
  for (int64_t e = 0, row = 0; e < end; row += groupRows, scale += n) {
    inputs negative, positive;
    e = part_by_sign(index, x, e, end, row + groupRows, memory, &negative, &positive);
    for (int64_t i = 0; i < vectors; i++) sums[i] = (vi){0};
    int8_inputs(rows, &negative, sums, cols);
    for (int64_t i = 0; i < vectors; i++) sums[i] = -sums[i];
    int8_inputs(rows, &positive, sums, cols);
    add_scaled(sums, scale, PF(3)[token], out, cols);
  }
}

NOINLINE void one_int8(const double *args, work w, int64_t token) {
  const int64_t n = INT(12);
  int64_t first, last;
  share(n, 64, w, &first, &last);
  vi *sums = w.scratch;
  void *lists = (char *)w.scratch + (PIECE_COLS + VB) * 4;
  for (int64_t c = first; c < last; c += PIECE_COLS) {
    const int64_t cols = MIN(PIECE_COLS, last - c);
    const stored_rows rows = {(const uint8_t *)PF(4) + c, INT(5)};
    float *out = PF(9) + token * n + c;
    if (!INT(13))
      for (int64_t i = 0; i < cols; i++) out[i] = 0;
    int8_token(args, rows, token, PF(6) + c, sums, lists, out, cols);
  }
}

/* ---- ternary ---------------------------------------------------------------------------------------------------------------- */

/* sums [128 columns in the order of ternary_slot] += a chunk of 8 rows. */
INLINE void ternary_chunk(const uint8_t *const *row, int64_t at, const tw *x, tw *sums) {
#pragma GCC unroll 2
  for (int64_t q = 0; q < TERNARY_CHUNK_BYTES; q += TB, sums += 8) {
    tw s[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) s[i] = sums[i];
#pragma GCC unroll 4
    for (int p = 0; p < STREAMS / 2; p++) {
      const tb a = load_codes(row[2 * p] + at + q), b = load_codes(row[2 * p + 1] + at + q);
      const tb lower = mix_codes_lower(a, b), upper = mix_codes_upper(a, b);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        s[2 * i] = add_codes(s[2 * i], codes_at(lower, i), x[p]);
        s[2 * i + 1] = add_codes(s[2 * i + 1], codes_at(upper, i), x[p]);
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) sums[i] = s[i];
  }
}

/* Eight rows over a piece of the columns. */
INLINE void ternary_group(int ahead, const group *g, const int8_t *x, tw *sums, int64_t chunks) {
  tw pairs[STREAMS / 2];
#pragma GCC unroll 4
  for (int p = 0; p < STREAMS / 2; p++) pairs[p] = splat_inputs(x + 2 * p);
  for (int64_t c = 0; c < chunks; c++) {
    if (ahead && c % 2 == 0) ask_ahead(g, c * TERNARY_CHUNK_BYTES);
    ternary_chunk(g->row, c * TERNARY_CHUNK_BYTES, pairs, sums + c * TERNARY_VECTORS);
  }
}

/* All inputs of a token over a piece; returns the sum of the inputs. `index` is the list of rows. */
INLINE int32_t ternary_inputs(stored_rows rows, const int32_t *index, const int8_t *x, int64_t count, tw *sums16, int32_t *sums32,
                              int64_t chunks) {
  int32_t total = 0;
  const int64_t vectors = chunks * TERNARY_VECTORS;
  const int ahead = chunks * TERNARY_CHUNK_BYTES < SHORT_PIECE;
  int64_t i = 0;
  for (; i + STREAMS <= count; i += STREAMS) {
    const group g = group_of(rows, index, i, count);
    if (ahead) ternary_group(1, &g, x + i, sums16, chunks);
    else ternary_group(0, &g, x + i, sums16, chunks);
    if ((i / STREAMS + 1) % (PAIR_STEPS / (STREAMS / 2)) == 0) widen_sums(sums16, sums32, vectors);
  }
  if (i < count) {
    int32_t lastRows[STREAMS];
    int8_t lastX[STREAMS] = {0};
    for (int s = 0; s < STREAMS; s++) lastRows[s] = index[MIN(i + s, count - 1)];
    __builtin_memcpy(lastX, x + i, count - i);
    const group g = group_of(rows, lastRows, 0, STREAMS);
    ternary_group(0, &g, lastX, sums16, chunks);
  }
  widen_sums(sums16, sums32, vectors);
  for (i = 0; i < count; i++) total += x[i];
  return total;
}

NOINLINE void one_ternary(const double *args, work w, int64_t token) {
  const int32_t *start = PI(0);
  const int64_t k = INT(11), n = INT(12);
  int64_t first, last;
  share(n, TERNARY_CHUNK_COLS, w, &first, &last);
  int32_t *sums32 = w.scratch;
  tw *sums16 = (tw *)(sums32 + PIECE_COLS);
  int32_t *identity = (int32_t *)(sums16 + PIECE_COLS * 2 / TB);
  if (!start)
    for (int32_t i = 0; i < k; i++) identity[i] = i;
  const int64_t begin = start ? start[token] : token * k, count = start ? start[token + 1] - begin : k;
  const int32_t *index = start ? PI(1) + begin : identity;
  const int8_t *x = (const int8_t *)PF(2) + begin;
  for (int64_t c = first; c < last; c += PIECE_COLS) {
    const int64_t cols = MIN(PIECE_COLS, last - c), chunks = (cols + TERNARY_CHUNK_COLS - 1) / TERNARY_CHUNK_COLS;
    const stored_rows rows = {(const uint8_t *)PF(4) + c / 4, INT(5)};
    for (int64_t i = 0; i < chunks * TERNARY_CHUNK_COLS; i++) sums32[i] = 0;
    for (int64_t i = 0; i < chunks * TERNARY_VECTORS; i++) sums16[i] = (tw){0};
    const int32_t total = ternary_inputs(rows, index, x, count, sums16, sums32, chunks);
    store_ternary(sums32, total, PF(6) + c, PF(3)[token], PF(9) + token * n + c, cols, INT(13));
  }
}

/* ---- by type and number of tokens ------------------------------------------------------------------------------------- */

typedef void (*one_token)(const double *args, work w, int64_t token);
typedef void (*few_tokens)(const double *args, work w, int64_t token, int64_t tokens);

static void weight_matvec(const double *args, work w) {
  static const one_token one[] = {one_f32, one_bf16, one_int8, one_ternary};
  static const few_tokens few[] = {few_f32, few_bf16, few_int8, few_ternary};
  const int64_t tokens = INT(10), type = INT(8), blocks = (tokens + FEW - 1) / FEW;
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t first = tokens * b / blocks, last = tokens * (b + 1) / blocks;
    if (last - first == 1) one[type](args, w, first);
    else few[type](args, w, first, last - first);
  }
}
