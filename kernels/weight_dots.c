/* weight_dots: out [tokens, n] = x w^T, w [n, k], or only the elements named by a list: the output head, and `up` behind open gates.
 *
 * Rows of w are read one after another, as one stream; each register of a row meets several tokens. A panel of rows stays in L2 until all tokens have
 * met it. A dot product is summed in the same order for any number of tokens: a row of out has the same bits as that token alone. Behind a list, which
 * jumps, the rows of the next elements are asked into L2. The rows (elements) are divided between the parts.
 *
 * weight_dots: x, xScale, w, rowBytes, wScale, dtype, out, tokens, n, k, start, index      start and index are 0: all elements
 */
#include "weight_stream.h"

#define DOT_TOKENS 8
#define DOT_PANEL (1 << 16) /* bytes */
#define DOT_AHEAD 4         /* rows behind a list */

/* Tokens that meet a row at once: their sums, of floats two each, and what is made of the row are in registers. */
INLINE int tokens_at_once(int type, int64_t left) {
  if (left >= 8 && type == WEIGHT_INT8) return 8;
  return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* A token's inputs beside ternary weights: those that fill no chunk, 0 behind them, and the sum of all. */
typedef struct {
  int8_t last[TERNARY_CHUNK_COLS] __attribute__((aligned(64)));
  int32_t total;
} ternary_input;

/* ---- a row with several tokens: `tokens` is a constant where these are inlined ---------------------------------------------- */

/* Two chains of additions, because one or two tokens would wait for the last addition of one. */
INLINE void dots_float(int bf16, const float *x, int tokens, const uint8_t *row, int64_t k, float *dots) {
  vf even[DOT_TOKENS] = {{0}}, odd[DOT_TOKENS] = {{0}};
  int64_t i = 0;
  for (; i + 2 * VL <= k; i += 2 * VL) {
    const vf w0 = load_weights(bf16, row, i), w1 = load_weights(bf16, row, i + VL);
#pragma GCC unroll 4
    for (int t = 0; t < tokens; t++) {
      even[t] += load(x + t * k + i) * w0;
      odd[t] += load(x + t * k + i + VL) * w1;
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < tokens; t++) dots[t] = sum_lanes(even[t] + odd[t]);
  for (; i < k; i++)
    for (int t = 0; t < tokens; t++) dots[t] += x[t * k + i] * weight_at(bf16, row, i);
}

INLINE int32_t sum_ints(vi v) {
  typedef int32_t i4 __attribute__((vector_size(16)));
  i4 quarters[VL / 4], four = {0};
  __builtin_memcpy(quarters, &v, sizeof v);
#pragma GCC unroll 4
  for (int i = 0; i < VL / 4; i++) four += quarters[i];
  const i4 two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1);
  return two[0] + two[1];
}

/* sum + the products of bytes, -127 .. 127 each, four to a lane. */
INLINE vi add_bytes(vi sum, vb x, vb w) {
#if VL == 16
  const __m512i turned = _mm512_mask_sub_epi8((__m512i)w, _mm512_movepi8_mask((__m512i)x), _mm512_setzero_si512(), (__m512i)w);
  return add_quad(sum, (vi)_mm512_abs_epi8((__m512i)x), (vb)turned);
#elif VL == 8
  return add_quad(sum, (vi)_mm256_abs_epi8((__m256i)x), (vb)_mm256_sign_epi8((__m256i)w, (__m256i)x));
#elif defined(__ARM_FEATURE_DOTPROD)
  return add_quad(sum, (vi)x, w);
#else
  sum = add_words(sum, (vi)((vw)x << 8 >> 8), (vi)((vw)w << 8 >> 8));
  return add_words(sum, (vi)((vw)x >> 8), (vi)((vw)w >> 8));
#endif
}

INLINE void dots_int8(const int8_t *x, int tokens, const uint8_t *row, int64_t k, int32_t *dots) {
  vi sums[DOT_TOKENS] = {{0}};
  int64_t i = 0;
  for (; i + VB <= k; i += VB) {
    const vb w = load_bytes(row + i);
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) sums[t] = add_bytes(sums[t], w, load_bytes((const uint8_t *)x + t * k + i));
  }
#pragma GCC unroll 8
  for (int t = 0; t < tokens; t++) dots[t] = sum_ints(sums[t]);
  /* Signed by the pointer: a cast of each unsigned byte is lost where GCC 12 makes vpdpbusd of this loop. */
  const int8_t *w = (const int8_t *)row;
  for (; i < k; i++)
    for (int t = 0; t < tokens; t++) dots[t] += x[t * k + i] * w[i];
}

/* Chunks whose sums 16 bits hold. */
#define DOT_CHUNKS (PAIR_STEPS * TB / TERNARY_CHUNK_COLS)

/* Codes are w + 1, so that the sum of x is taken off. */
INLINE void dots_ternary(const int8_t *x, const ternary_input *inputs, int tokens, const uint8_t *row, int64_t k, int32_t *dots) {
  const int64_t whole = k / TERNARY_CHUNK_COLS, chunks = (k + TERNARY_CHUNK_COLS - 1) / TERNARY_CHUNK_COLS;
  for (int t = 0; t < tokens; t++) dots[t] = -inputs[t].total;
  for (int64_t first = 0; first < chunks; first += DOT_CHUNKS) {
    tw sums[DOT_TOKENS] = {{0}};
    for (int64_t c = first; c < MIN(first + DOT_CHUNKS, chunks); c++)
      for (int q = 0; q < TERNARY_CHUNK_BYTES; q += TB) {
        const tb codes = load_codes(row + c * TERNARY_CHUNK_BYTES + q);
#pragma GCC unroll 4
        for (int s = 0; s < 4; s++) {
          const tu each = codes_at(codes, s);
#pragma GCC unroll 8
          for (int t = 0; t < tokens; t++) {
            const int8_t *from = c < whole ? x + t * k + c * TERNARY_CHUNK_COLS : inputs[t].last;
            sums[t] = add_codes(sums[t], each, (tw)load_codes((const uint8_t *)from + s * TERNARY_CHUNK_BYTES + q));
          }
        }
      }
    for (int t = 0; t < tokens; t++)
      for (int j = 0; j < TB / 2; j++) dots[t] += sums[t][j];
  }
}

INLINE void prepare_ternary(const int8_t *x, int64_t k, ternary_input *to) {
  const int64_t whole = k / TERNARY_CHUNK_COLS * TERNARY_CHUNK_COLS;
  to->total = 0;
  for (int64_t i = 0; i < k; i++) to->total += x[i];
  for (int64_t i = 0; i < TERNARY_CHUNK_COLS; i++) to->last[i] = whole + i < k ? x[whole + i] : 0;
}

/* dots [tokens] of row r with `tokens` tokens from `token` on; `inputs` are theirs. */
INLINE void dots_of_row(int type, const double *args, const ternary_input *inputs, int64_t token, int tokens, int64_t r, float *dots) {
  const int64_t k = INT(9);
  const uint8_t *row = (const uint8_t *)PF(2) + r * INT(3);
  if (!is_quantized(type)) {
    dots_float(type == WEIGHT_BF16, PF(0) + token * k, tokens, row, k, dots);
    return;
  }
  const int8_t *x = (const int8_t *)PF(0) + token * k;
  int32_t sums[DOT_TOKENS];
  type == WEIGHT_INT8 ? dots_int8(x, tokens, row, k, sums) : dots_ternary(x, inputs, tokens, row, k, sums);
  for (int t = 0; t < tokens; t++) dots[t] = (float)sums[t] * PF(4)[r] * PF(1)[token + t];
}

/* ---- all of out, or a list of it --------------------------------------------------------------------------------------------- */

INLINE void dots_of_panel(int type, const double *args, const ternary_input *inputs, int64_t token, int tokens, int64_t first, int64_t last) {
  const int64_t n = INT(8);
  float dots[DOT_TOKENS];
  for (int64_t r = first; r < last; r++) {
    dots_of_row(type, args, inputs, token, tokens, r, dots);
    for (int t = 0; t < tokens; t++) PF(6)[(token + t) * n + r] = dots[t];
  }
}

INLINE void dots_of_all(int type, const double *args, work w) {
  const int64_t tokens = INT(7), k = INT(9), panel = MAX(16, DOT_PANEL / INT(3));
  ternary_input inputs[DOT_TOKENS];
  int64_t first, last;
  share(INT(8), 16, w, &first, &last);
  for (int64_t r = first; r < last; r += panel) {
    const int64_t end = MIN(r + panel, last);
    for (int64_t token = 0, count; token < tokens; token += count) {
      count = tokens_at_once(type, tokens - token);
      for (int64_t t = 0; type == WEIGHT_TERNARY && t < count; t++) prepare_ternary((const int8_t *)PF(0) + (token + t) * k, k, inputs + t);
      switch (count) {
        case 8: dots_of_panel(type, args, inputs, token, 8, r, end); break;
        case 4: dots_of_panel(type, args, inputs, token, 4, r, end); break;
        case 2: dots_of_panel(type, args, inputs, token, 2, r, end); break;
        default: dots_of_panel(type, args, inputs, token, 1, r, end);
      }
    }
  }
}

INLINE void ask_row(const double *args, int64_t r, int64_t bytes) {
  const uint8_t *row = (const uint8_t *)PF(2) + r * INT(3);
  for (int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(row + b, 0, 2);
}

INLINE void dots_at_list(int type, const double *args, work w) {
  const int32_t *start = PI(10), *index = PI(11);
  const int64_t k = INT(9), bytes = type == WEIGHT_TERNARY ? (k + 3) / 4 : k * (type == WEIGHT_F32 ? 4 : type == WEIGHT_BF16 ? 2 : 1);
  ternary_input input;
  int64_t first, last, token = 0, prepared = -1;
  share(start[INT(7)], 16, w, &first, &last);
  for (int64_t e = first; e < MIN(last, first + DOT_AHEAD); e++) ask_row(args, index[e], bytes);
  for (int64_t e = first; e < last; e++) {
    while (e >= start[token + 1]) token++;
    if (type == WEIGHT_TERNARY && token != prepared) prepare_ternary((const int8_t *)PF(0) + token * k, k, &input);
    prepared = token;
    if (e + DOT_AHEAD < last) ask_row(args, index[e + DOT_AHEAD], bytes);
    dots_of_row(type, args, &input, token, 1, index[e], PF(6) + e);
  }
}

INLINE void dots_of(int type, const double *args, work w) {
  INT(10) ? dots_at_list(type, args, w) : dots_of_all(type, args, w);
}

NOINLINE void weight_dots_f32(const double *args, work w) { dots_of(WEIGHT_F32, args, w); }
NOINLINE void weight_dots_bf16(const double *args, work w) { dots_of(WEIGHT_BF16, args, w); }
NOINLINE void weight_dots_int8(const double *args, work w) { dots_of(WEIGHT_INT8, args, w); }
NOINLINE void weight_dots_ternary(const double *args, work w) { dots_of(WEIGHT_TERNARY, args, w); }

static void weight_dots(const double *args, work w) {
  static const kernel dots[] = {weight_dots_f32, weight_dots_bf16, weight_dots_int8, weight_dots_ternary};
  dots[INT(5)](args, w);
}
