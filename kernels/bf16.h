/* bf16 inside of products: f32 operands are rounded to bf16 while they are packed, and products of pairs are summed in f32.
 *
 * A bf16 is the upper half of an f32. Two of them that belong to neighbouring terms of a sum share 32 bits, the first one in the
 * lower half: such a pair is what the processors' dot products take (AVX-512 BF16: vdpbf16ps; ARM: bfdot). Elsewhere the same
 * sum is made of two f32 operations, so that one text is compiled and tested for every instruction set.
 *
 * Rounding: to nearest, ties to even; too large becomes infinite, infinities stay, NaN stays NaN. It is done with integers
 * everywhere (the conversion instructions would flush subnormals). The dot products themselves take subnormal operands and sums as 0.
 */
#ifndef QSPARSE_BF16_H
#define QSPARSE_BF16_H

#include "vector_math.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#include <arm_neon.h>
#endif

/* How a product takes its operands: as they are; both rounded to bf16; or b stored as bf16 and widened (weights of inference). A constant
 * of inlined functions. */
enum { AS_F32, AS_ROUNDED, AS_STORED };

/* 2 VL bf16 in one register, and the same as words of 16 bits. */
typedef uint16_t vh __attribute__((vector_size(VL * 4), may_alias));
typedef uint32_t vuu __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef uint32_t pair __attribute__((may_alias)); /* panels and buffers of f32 hold pairs as well */

#define BF16_BITS 0xffff0000u /* of an f32: those that a bf16 keeps */
#define BF16_QUIET 0x400000u  /* set in a NaN, whose other bits may all be cut off */

/* acc + the sum over the pairs of a and b: upper halves first, then lower ones. */
INLINE vf dot_pairs(vf acc, vu a, vu b) {
#if defined(__AVX512BF16__)
  return (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  return (vf)vbfdotq_f32((float32x4_t)acc, (bfloat16x8_t)a, (bfloat16x8_t)b);
#else
  acc += (vf)(a & BF16_BITS) * (vf)(b & BF16_BITS);
  return acc + (vf)(a << 16) * (vf)(b << 16);
#endif
}

/* x rounded, each bf16 in the upper half of its lane and 0 below. */
INLINE vu round_bf16(vf x) {
  const vu bits = (vu)x;
  const vf nearest = (vf)(bits + 0x7fff + (bits >> 16 & 1));
  return (vu)choose(x == x, nearest, (vf)(bits | BF16_QUIET)) & BF16_BITS;
}

/* The pairs (low, high) of two vectors. */
INLINE vu pairs_of(vf low, vf high) { return round_bf16(low) >> 16 | round_bf16(high); }

/* The same for one pair. */
INLINE pair pair_of(float low, float high) {
  const union { float f[2]; uint32_t u[2]; } x = {{low, high}};
  uint32_t rounded[2];
  for (int i = 0; i < 2; i++)
    rounded[i] = x.f[i] == x.f[i] ? x.u[i] + 0x7fff + (x.u[i] >> 16 & 1) : x.u[i] | BF16_QUIET;
  return rounded[0] >> 16 | (rounded[1] & BF16_BITS);
}

INLINE vu splat_pair(pair x) { return x - (vu){0}; }

/* ---- orders of halves inside of registers -------------------------------------------------------------------------
 * Shuffles inside of each 16 bytes, which are one instruction in every set; `o` is where 16 bytes begin, `n` how many elements one
 * operand has. */
#if VL == 16
#define BF16_LANES(X, words, n) X(0, n), X(words, n), X(2 * words, n), X(3 * words, n)
#elif VL == 8
#define BF16_LANES(X, words, n) X(0, n), X(words, n)
#else
#define BF16_LANES(X, words, n) X(0, n)
#endif
#define BF16_MIX_8(o, n) (o), (n) + (o), (o) + 1, (n) + (o) + 1, (o) + 2, (n) + (o) + 2, (o) + 3, (n) + (o) + 3
#define BF16_MIX_8_UPPER(o, n) BF16_MIX_8((o) + 4, n)
#define BF16_MIX_4(o, n) (o), (n) + (o), (o) + 1, (n) + (o) + 1
#define BF16_MIX_4_UPPER(o, n) BF16_MIX_4((o) + 2, n)
#define BF16_ODD(o, n) (o) + 1, (o) + 3, (o) + 5, (o) + 7, (n) + (o) + 1, (n) + (o) + 3, (n) + (o) + 5, (n) + (o) + 7

/* Two rows of bf16 as pairs (a, b): the first four of each eight columns, and the last four. */
INLINE vu mix_lower(vh a, vh b) { return (vu)__builtin_shufflevector(a, b, BF16_LANES(BF16_MIX_8, 8, 2 * VL)); }
INLINE vu mix_upper(vh a, vh b) { return (vu)__builtin_shufflevector(a, b, BF16_LANES(BF16_MIX_8_UPPER, 8, 2 * VL)); }

/* The same of 32-bit elements: the first two of each four, and the last two. */
INLINE vu mix_lower_pairs(vu a, vu b) { return __builtin_shufflevector(a, b, BF16_LANES(BF16_MIX_4, 4, VL)); }
INLINE vu mix_upper_pairs(vu a, vu b) { return __builtin_shufflevector(a, b, BF16_LANES(BF16_MIX_4_UPPER, 4, VL)); }

/* a and b rounded into one register such that mix_lower gives the columns of a in order, and mix_upper those of b. */
INLINE vh round_columns(vf a, vf b) {
  return __builtin_shufflevector((vh)round_bf16(a), (vh)round_bf16(b), BF16_LANES(BF16_ODD, 8, 2 * VL));
}

/* Where column c of 2 VL stands in what round_columns gives. Four in a row stay together. */
INLINE int64_t place_of_column(int64_t c) { return c % VL / 4 * 8 + c / VL * 4 + c % 4; }

/* x [count] as pairs of neighbours, an odd last one beside 0. */
INLINE void round_row(const float *x, int64_t count, pair *pairs) {
#define BF16_ODD_16(o, n) (o) + 1, (o) + 3, (o) + 5, (o) + 7, (o) + 9, (o) + 11, (o) + 13, (o) + 15
  int64_t i = 0;
  for (; i + 2 * VL <= count; i += 2 * VL) {
    const vh a = (vh)round_bf16(load(x + i)), b = (vh)round_bf16(load(x + i + VL));
    *(vuu *)(pairs + i / 2) = (vuu)__builtin_shufflevector(a, b, BF16_LANES(BF16_ODD_16, 16, 0));
  }
  for (; i < count; i += 2) pairs[i / 2] = pair_of(x[i], i + 1 < count ? x[i + 1] : 0);
}

#endif
