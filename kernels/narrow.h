/* Numbers of 8 and 16 bits as vectors of f32, and f32 as f16: what is stored narrow and computed wide (caches of keys and values).
 *
 * An f16 has a sign, 5 bits of exponent and 10 of fraction (IEEE 754 binary16). Widening is exact everywhere. Narrowing, to nearest with
 * ties to even, is done with integers on every instruction set, so that all of them store the same bits.
 */
#ifndef QSPARSE_NARROW_H
#define QSPARSE_NARROW_H

#include "vector_math.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if VL == 4
typedef int8_t bytes16 __attribute__((vector_size(16), may_alias));
typedef uint16_t halves8 __attribute__((vector_size(16), may_alias));
typedef int64_t words2 __attribute__((vector_size(16), may_alias));
typedef int64_t word_at_any_place __attribute__((aligned(1), may_alias));
typedef int32_t half_word_at_any_place __attribute__((aligned(1), may_alias));
#endif

/* VL signed bytes. */
INLINE vf widen_bytes(const int8_t *p) {
#if VL == 16
  return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
#elif VL == 8
  return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
#else
  /* Each byte four times: its sign comes down from the top of the lane. */
  const bytes16 four = (bytes16)(vi){*(const half_word_at_any_place *)p};
  const halves8 twice = (halves8)__builtin_shufflevector(four, four, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  const vi lanes = (vi)__builtin_shufflevector(twice, twice, 0, 0, 1, 1, 2, 2, 3, 3);
  return __builtin_convertvector(lanes >> 24, vf);
#endif
}

/* VL f16. */
INLINE vf widen_halves(const uint16_t *p) {
#if VL == 16
  return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif VL == 8
  return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#elif defined(__aarch64__)
  return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
#else
  const halves8 four = (halves8)(words2){*(const word_at_any_place *)p}, zero = {0};
  const vu bits = (vu)__builtin_shufflevector(four, zero, 0, 8, 1, 9, 2, 10, 3, 11);
  const vu magnitude = bits & 0x7fff;
  /* As an f32 with these exponent bits it is 2^112 too small, subnormal numbers as well. */
  const vf finite = (vf)(magnitude << 13) * 0x1p112f;
  const vf value = choose((vi)magnitude >= 0x7c00, (vf)(magnitude << 13 | 0x7f800000), finite);
  return (vf)((vu)value | (bits & 0x8000) << 16);
#endif
}

/* 65520 and more become infinite, NaN stays NaN. */
INLINE uint16_t narrow_to_half(float x) {
  union { float value; uint32_t bits; } u = {x};
  const uint32_t sign = u.bits >> 16 & 0x8000;
  uint32_t half;
  u.bits &= 0x7fffffff;
  if (u.bits >= 0x47800000) {
    half = u.bits > 0x7f800000 ? 0x7e00 : 0x7c00;
  } else if (u.bits < 0x38800000) {
    u.value += 0.5f; /* below 2^-14: the addition rounds at 2^-24, the last place of a subnormal f16 */
    half = u.bits - 0x3f000000;
  } else {
    half = (u.bits - (112u << 23) + 0xfff + (u.bits >> 13 & 1)) >> 13;
  }
  return (uint16_t)(sign | half);
}

#endif
