/* Arithmetic on vectors that C has no operator for: exp, maximum, choice by mask, sums over lanes, and remainders.
 *
 * There is no libm behind these: the wasm build is freestanding, and a call per lane would cost more than the
 * polynomial. NaN stays NaN and infinities behave as in libm. exp_lanes: Cephes' expf polynomial (S. Moshier), 1 ulp.
 */
#ifndef QSPARSE_VECTOR_MATH_H
#define QSPARSE_VECTOR_MATH_H

#include "kernel.h"

/* Bits to shift and to add without signs. */
typedef uint32_t vu __attribute__((vector_size(VL * 4)));

/* a where the mask is all ones, b where it is 0: vector comparisons give such masks. */
INLINE vf choose(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }

/* a where the mask is all ones, +0 where it is 0, whatever a is (NaN too). */
INLINE vf where(vi mask, vf a) { return (vf)(mask & (vi)a); }

/* The larger of each lane; b where a is NaN. */
INLINE vf larger(vf a, vf b) { return choose(a > b, a, b); }

/* The sum of all lanes, in a tree: upper half onto lower half, down to one. */
INLINE float sum_lanes(vf v) {
  typedef float v4 __attribute__((vector_size(16)));
#if VL == 16
  typedef float v8 __attribute__((vector_size(32)));
  const v8 eight = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const v4 four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
#elif VL == 8
  const v4 four = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
  const v4 four = v;
#endif
  const v4 two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1);
  return two[0] + two[1];
}

INLINE float max_lanes(vf v) {
  float best = v[0];
  for (int i = 1; i < VL; i++) best = v[i] > best ? v[i] : best;
  return best;
}

/* The first n floats at p, n < VL, and `rest` in the lanes behind them. Reads nothing behind the n. */
INLINE vf load_first(const float *p, int64_t n, float rest) {
  vf v = splat(rest);
  for (int i = 0; i < VL - 1; i++)
    if (i < n) v[i] = p[i];
  return v;
}

INLINE void store_first(float *p, vf v, int64_t n) {
  for (int i = 0; i < VL - 1; i++)
    if (i < n) p[i] = v[i];
}

/* FOR_VECTORS(n, { body }) runs the body for each vector of 0 .. n, the last one perhaps a part. Inside, `i` is its
 * first element, GET(p, rest) is p[i ..] with `rest` in the lanes behind the end, and PUT(p, v) writes p[i ..]. */
#define GET(p, rest) (lanes == VL ? load((p) + i) : load_first((p) + i, lanes, rest))
#define PUT(p, v) \
  do { \
    if (lanes == VL) store((p) + i, v); \
    else store_first((p) + i, v, lanes); \
  } while (0)
#define FOR_VECTORS(n, ...) \
  do { \
    int64_t i = 0; \
    for (; i + VL <= (n); i += VL) { \
      enum { lanes = VL }; \
      __VA_ARGS__ \
    } \
    if (i < (n)) { \
      const int64_t lanes = (n) - i; \
      __VA_ARGS__ \
    } \
  } while (0)

/* e^x. 0 below -87.33 (subnormal results are flushed), infinity above 88.72; exp(0) is exactly 1. */
INLINE vf exp_lanes(vf x) {
  /* Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits. */
  const vf shifted = x * 1.44269504088896341f + 12582912.0f;
  const vf n = shifted - 12582912.0f;
  /* ln 2 in two parts: n times the first is exact. */
  const vf r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  vf y = r * 1.9875691500e-4f + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = (y * r) * r + r + 1.0f;
  y = (vf)((vu)y + ((vu)shifted << 23));
  y = choose(x > 88.7228f, splat(__builtin_inff()), y);
  y = where(~(x < -87.3365f), y);
  return choose(x == x, y, x);
}

/* The natural logarithm of x > 0, in f64: for one value a row. NaN and infinity give themselves. */
INLINE double log_of(double x) {
  if (!(x < __builtin_inf())) return x;
  union { double value; int64_t bits; } u = {x};
  /* x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh((m - 1) / (m + 1)), |.| <= 0.172. */
  int64_t e = (u.bits - 0x3fe6a09e667f3bcdLL) >> 52;
  u.bits -= e << 52;
  double s = (u.value - 1) / (u.value + 1), z = s * s;
  double series = 1.0 / 13 + z / 15;
  series = 1.0 / 9 + z * (1.0 / 11 + z * series);
  series = 1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * series));
  return (double)e * 0.69314718055994530942 + 2 * s * (1 + z * series);
}

#endif
