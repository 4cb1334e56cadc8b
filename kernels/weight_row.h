/* The layouts of a row of weights, as src/tensor/weight-matrix.ts documents them, and how vectors of them are read.
 *
 * Integer products take the rows of four inputs at a time: bytes of the four rows are interleaved in registers, so that the 32 bits of a
 * lane hold the four weights of one column, and one step multiplies them with the four inputs. Interleaving works inside of each 16
 * bytes, hence sums come out in "slot order" (SLOT_OF), which is undone once, when all rows have been added.
 *
 * No intermediate can saturate: inputs are magnitudes of at most 127 (rows of negative inputs are summed apart), so that two products
 * are at most 2 * 127 * 127 = 32258, which 16 bits hold.
 */
#ifndef QSPARSE_WEIGHT_ROW_H
#define QSPARSE_WEIGHT_ROW_H

#include "vector_math.h"

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

enum { WEIGHT_F32, WEIGHT_BF16, WEIGHT_INT8, WEIGHT_TERNARY };

/* 128 ternary weights in 32 bytes: byte j holds columns j, j + 32, j + 64, j + 96, from its low bits to its high ones. */
#define TERNARY_CHUNK_COLS 128
#define TERNARY_CHUNK_BYTES 32

INLINE int is_quantized(int64_t type) { return type >= WEIGHT_INT8; }

INLINE float bf16_at(const uint8_t *row, int64_t c) {
  const union { uint32_t bits; float value; } x = {(uint32_t)((const uint16_t *)row)[c] << 16};
  return x.value;
}

/* -1, 0 or 1 */
INLINE int32_t ternary_at(const uint8_t *row, int64_t c) {
  const int64_t within = c % TERNARY_CHUNK_COLS;
  const uint8_t byte = row[c / TERNARY_CHUNK_COLS * TERNARY_CHUNK_BYTES + within % TERNARY_CHUNK_BYTES];
  return (byte >> (2 * (within / TERNARY_CHUNK_BYTES)) & 3) - 1;
}

/* VL bf16 as f32. */
INLINE vf load_bf16(const uint8_t *p) {
#if VL == 16
  return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
#elif VL == 8
  return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16);
#else
  typedef uint16_t v4h __attribute__((vector_size(8)));
  typedef uint16_t v4hu __attribute__((vector_size(8), aligned(2), may_alias));
  return (vf)__builtin_shufflevector((v4h){0}, *(const v4hu *)p, 0, 4, 1, 5, 2, 6, 3, 7);
#endif
}

/* ---- bytes ----------------------------------------------------------------------------------------------------------- */

#define VB (VL * 4) /* bytes of a register */

typedef int8_t vb __attribute__((vector_size(VB)));
typedef int8_t vbu __attribute__((vector_size(VB), aligned(1), may_alias));
typedef int16_t vw __attribute__((vector_size(VB)));

INLINE vb load_bytes(const uint8_t *p) { return (vb)*(const vbu *)p; }

/* Bytes, or words of two bytes, of a and b in turns, inside of each 16 bytes: of their lower 8, of their upper 8. */
#if VL == 16
#define UNPACK(name, intrinsic) \
  INLINE vb name(vb a, vb b) { return (vb)_mm512_##intrinsic((__m512i)a, (__m512i)b); }
UNPACK(mix_bytes_lower, unpacklo_epi8)
UNPACK(mix_bytes_upper, unpackhi_epi8)
UNPACK(mix_words_lower, unpacklo_epi16)
UNPACK(mix_words_upper, unpackhi_epi16)
#elif VL == 8
#define UNPACK(name, intrinsic) \
  INLINE vb name(vb a, vb b) { return (vb)_mm256_##intrinsic((__m256i)a, (__m256i)b); }
UNPACK(mix_bytes_lower, unpacklo_epi8)
UNPACK(mix_bytes_upper, unpackhi_epi8)
UNPACK(mix_words_lower, unpacklo_epi16)
UNPACK(mix_words_upper, unpackhi_epi16)
#else
INLINE vb mix_bytes_lower(vb a, vb b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
INLINE vb mix_bytes_upper(vb a, vb b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
INLINE vb mix_words_lower(vb a, vb b) { return (vb)__builtin_shufflevector((vw)a, (vw)b, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE vb mix_words_upper(vb a, vb b) { return (vb)__builtin_shufflevector((vw)a, (vw)b, 4, 12, 5, 13, 6, 14, 7, 15); }
#endif

/* sum + the two products of words in each lane. */
INLINE vi add_words(vi sum, vi a, vi b) {
#if VL == 16 && defined(__AVX512VNNI__)
  return (vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif VL == 16
  return sum + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif VL == 8
  return sum + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return sum + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#elif defined(__wasm_simd128__)
  return sum + (vi)__builtin_wasm_dot_s_i32x4_i16x8((vw)a, (vw)b);
#else
  return sum + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

/* sum + the four products of each lane: `x4` has four magnitudes (0 .. 127) in every lane, `w` four weights (-127 .. 127). */
INLINE vi add_quad(vi sum, vi x4, vb w) {
#if VL == 16 && defined(__AVX512VNNI__)
  return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x4, (__m512i)w);
#elif VL == 16
  const __m512i pairs = _mm512_maddubs_epi16((__m512i)x4, (__m512i)w);
  return sum + (vi)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif VL == 8
  const __m256i pairs = _mm256_maddubs_epi16((__m256i)x4, (__m256i)w);
  return sum + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif defined(__ARM_FEATURE_DOTPROD)
  return (vi)vdotq_s32((int32x4_t)sum, (int8x16_t)x4, (int8x16_t)w);
#else
  /* Each word holds two weights: their lower bytes and their upper bytes as words of their own. */
  const vw x = (vw)x4, lower = (vw)w << 8 >> 8, upper = (vw)w >> 8;
  return add_words(add_words(sum, (vi)lower, (vi)(x & 0xff)), (vi)upper, (vi)(x >> 8));
#endif
}

/* Where the sum of column c (of VB) stands among the 4 vectors that the quads of VB columns are summed in. Four in a row stay together. */
#define SLOT_OF(c) ((c) % 16 / 4 * VL + (c) / 16 * 4 + (c) % 4)

/* VB columns of four rows as four vectors of quads. */
INLINE void mix_rows(vb r0, vb r1, vb r2, vb r3, vb *quads) {
  const vb a = mix_bytes_lower(r0, r1), b = mix_bytes_upper(r0, r1);
  const vb c = mix_bytes_lower(r2, r3), d = mix_bytes_upper(r2, r3);
  quads[0] = mix_words_lower(a, c);
  quads[1] = mix_words_upper(a, c);
  quads[2] = mix_words_lower(b, d);
  quads[3] = mix_words_upper(b, d);
}

/* Four bytes in every lane. */
INLINE vi splat_quad(const uint8_t *bytes) {
  int32_t four;
  __builtin_memcpy(&four, bytes, 4);
  return four - (vi){0};
}

/* sums [4] += four rows of VB columns. */
INLINE void add_quad_rows(vi *sums, vi x4, vb r0, vb r1, vb r2, vb r3) {
  vb quads[4];
  mix_rows(r0, r1, r2, r3, quads);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) sums[i] = add_quad(sums[i], x4, quads[i]);
}

/* The first `have` bytes at p, 0 behind them. */
INLINE vb load_some_bytes(const uint8_t *p, int64_t have) {
  vb v = {0};
  __builtin_memcpy(&v, p, have);
  return v;
}

/* ---- ternary codes ------------------------------------------------------------------------------------------------------
 *
 * A code is w + 1: 0, 1 or 2, so that it may stand on the unsigned side of a step: the codes of a column in two rows, side by side as two
 * bytes, times the two inputs, is one word. Registers of at most 32 bytes, because a row is whole chunks of 32.
 */

#define TB (VL == 4 ? 16 : 32)
#define TERNARY_VECTORS (2 * TERNARY_CHUNK_COLS / TB) /* of words: the sums of a chunk */

typedef uint8_t tb __attribute__((vector_size(TB)));
typedef uint8_t tbu __attribute__((vector_size(TB), aligned(1), may_alias));
typedef int16_t tw __attribute__((vector_size(TB)));
typedef uint16_t tu __attribute__((vector_size(TB)));

INLINE tb load_codes(const uint8_t *p) { return (tb)*(const tbu *)p; }

#if VL == 4
INLINE tb mix_codes_lower(tb a, tb b) { return (tb)mix_bytes_lower((vb)a, (vb)b); }
INLINE tb mix_codes_upper(tb a, tb b) { return (tb)mix_bytes_upper((vb)a, (vb)b); }
#else
INLINE tb mix_codes_lower(tb a, tb b) { return (tb)_mm256_unpacklo_epi8((__m256i)a, (__m256i)b); }
INLINE tb mix_codes_upper(tb a, tb b) { return (tb)_mm256_unpackhi_epi8((__m256i)a, (__m256i)b); }
#endif

/* The codes number `step` (0 .. 3) of each byte. */
INLINE tu codes_at(tb codes, int step) { return (tu)codes >> (2 * step) & 0x0303; }

/* to [128] = the weights of a chunk, -1, 0 or 1. */
INLINE void unpack_ternary(const uint8_t *chunk, int8_t *to) {
#pragma GCC unroll 2
  for (int q = 0; q < TERNARY_CHUNK_BYTES; q += TB) {
    const tb codes = load_codes(chunk + q);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) *(tbu *)(to + i * TERNARY_CHUNK_BYTES + q) = (tb)codes_at(codes, i) - 1;
  }
}

/* The two inputs at p as they stand beside the codes of their rows in each word. */
INLINE tw splat_inputs(const int8_t *p) {
  int16_t two;
  __builtin_memcpy(&two, p, 2);
  return two - (tw){0};
}

/* sum + the codes of two rows times the two inputs of `x`. */
INLINE tw add_codes(tw sum, tu codes, tw x) {
#if VL == 4
  /* The lower and the upper byte of each word; the inputs with their signs. */
  return sum + (tw)(codes & 0xff) * (x << 8 >> 8) + (tw)(codes >> 8) * (x >> 8);
#else
  return sum + (tw)_mm256_maddubs_epi16((__m256i)codes, (__m256i)x);
#endif
}

/* Where the sum of column c (of a chunk) stands among the TERNARY_VECTORS vectors. Eight in a row stay together. */
INLINE int64_t ternary_slot(int64_t c) {
  const int64_t byte = c % TERNARY_CHUNK_BYTES, within = byte % TB;
  return byte / TB * 4 * TB + (c / TERNARY_CHUNK_BYTES * 2 + within / 8 % 2) * (TB / 2) + within / 16 * 8 + c % 8;
}

#endif
