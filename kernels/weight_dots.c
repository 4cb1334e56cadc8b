/* weight_dots: out [tokens, n] = x w^T, w [n, k], or only the elements named by a list: the output head, and `up` behind open gates.
 *
 * Rows of w are read one after another as a stream; a row that several tokens need is in L1 for all but the first of them. Behind a list, which
 * jumps, the rows of the next elements are asked into L2 meanwhile. The rows (elements) are divided between the parts.
 *
 * weight_dots: x, xScale, w, rowBytes, wScale, dtype, out, tokens, n, k, start, index      start and index are 0: all elements
 */
#include "weight_stream.h"

#define DOT_AHEAD 4 /* rows behind a list */

INLINE float dot_float(int bf16, const float *x, const uint8_t *row, int64_t k) {
  vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
  int64_t i = 0;
  for (; i + 4 * VL <= k; i += 4 * VL) {
    s0 += load(x + i) * load_weights(bf16, row, i);
    s1 += load(x + i + VL) * load_weights(bf16, row, i + VL);
    s2 += load(x + i + 2 * VL) * load_weights(bf16, row, i + 2 * VL);
    s3 += load(x + i + 3 * VL) * load_weights(bf16, row, i + 3 * VL);
  }
  float sum = sum_lanes(s0 + s1 + s2 + s3);
  for (; i < k; i++) sum += x[i] * weight_at(bf16, row, i);
  return sum;
}

INLINE int32_t sum_ints(vi v) {
  int32_t sum = 0;
  for (int i = 0; i < VL; i++) sum += v[i];
  return sum;
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

INLINE int32_t dot_int8(const int8_t *x, const uint8_t *row, int64_t k) {
  vi s0 = {0}, s1 = {0};
  int64_t i = 0;
  for (; i + 2 * VB <= k; i += 2 * VB) {
    s0 = add_bytes(s0, load_bytes((const uint8_t *)x + i), load_bytes(row + i));
    s1 = add_bytes(s1, load_bytes((const uint8_t *)x + i + VB), load_bytes(row + i + VB));
  }
  int32_t sum = sum_ints(s0 + s1);
  /* Signed by the pointer: a cast of each unsigned byte is lost where GCC 12 makes vpdpbusd of this loop. */
  const int8_t *signed_row = (const int8_t *)row;
  for (; i < k; i++) sum += x[i] * signed_row[i];
  return sum;
}

/* Codes are w + 1, so that the sum of x is taken off. */
INLINE int32_t dot_ternary(const int8_t *x, const uint8_t *row, int64_t k) {
  int32_t sum = 0, total = 0;
  int64_t i = 0;
  for (; i + TERNARY_CHUNK_COLS <= k; i += TERNARY_CHUNK_COLS, row += TERNARY_CHUNK_BYTES) {
    tw words = {0};
#pragma GCC unroll 2
    for (int q = 0; q < TERNARY_CHUNK_BYTES; q += TB) {
      const tb codes = load_codes(row + q);
#pragma GCC unroll 4
      for (int s = 0; s < 4; s++) words = add_codes(words, codes_at(codes, s), (tw)load_codes((const uint8_t *)x + i + s * TERNARY_CHUNK_BYTES + q));
    }
    for (int j = 0; j < TB / 2; j++) sum += words[j];
  }
  for (int64_t j = 0; j < i; j++) total += x[j];
  for (int64_t j = 0; i + j < k; j++) sum += x[i + j] * ternary_at(row, j);
  return sum - total;
}

INLINE float weight_dot(int type, const double *args, int64_t token, int64_t r) {
  const int64_t k = INT(9);
  const uint8_t *row = (const uint8_t *)PF(2) + r * INT(3);
  if (!is_quantized(type)) return dot_float(type == WEIGHT_BF16, PF(0) + token * k, row, k);
  const int8_t *x = (const int8_t *)PF(0) + token * k;
  const int32_t sum = type == WEIGHT_INT8 ? dot_int8(x, row, k) : dot_ternary(x, row, k);
  return (float)sum * PF(4)[r] * PF(1)[token];
}

INLINE void ask_row(const double *args, int64_t r, int64_t bytes) {
  const uint8_t *row = (const uint8_t *)PF(2) + r * INT(3);
  for (int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(row + b, 0, 2);
}

INLINE void dots_at_list(int type, const double *args, work w) {
  const int32_t *start = PI(10), *index = PI(11);
  const int64_t bytes = type == WEIGHT_TERNARY ? (INT(9) + 3) / 4 : INT(9) * (type == WEIGHT_F32 ? 4 : type == WEIGHT_BF16 ? 2 : 1);
  int64_t first, last, token = 0;
  share(start[INT(7)], 16, w, &first, &last);
  for (int64_t e = first; e < MIN(last, first + DOT_AHEAD); e++) ask_row(args, index[e], bytes);
  for (int64_t e = first; e < last; e++) {
    while (e >= start[token + 1]) token++;
    if (e + DOT_AHEAD < last) ask_row(args, index[e + DOT_AHEAD], bytes);
    PF(6)[e] = weight_dot(type, args, token, index[e]);
  }
}

INLINE void dots_of(int type, const double *args, work w) {
  if (INT(10)) {
    dots_at_list(type, args, w);
    return;
  }
  const int64_t tokens = INT(7), n = INT(8);
  int64_t first, last;
  share(n, 16, w, &first, &last);
  for (int64_t r = first; r < last; r++)
    for (int64_t t = 0; t < tokens; t++) PF(6)[t * n + r] = weight_dot(type, args, t, r);
}

NOINLINE void dots_f32(const double *args, work w) { dots_of(WEIGHT_F32, args, w); }
NOINLINE void dots_bf16(const double *args, work w) { dots_of(WEIGHT_BF16, args, w); }
NOINLINE void dots_int8(const double *args, work w) { dots_of(WEIGHT_INT8, args, w); }
NOINLINE void dots_ternary(const double *args, work w) { dots_of(WEIGHT_TERNARY, args, w); }

static void weight_dots(const double *args, work w) {
  static const kernel dots[] = {dots_f32, dots_bf16, dots_int8, dots_ternary};
  dots[INT(5)](args, w);
}
