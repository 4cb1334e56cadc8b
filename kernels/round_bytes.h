/* Rounding to 8 bits, the same on every instruction set: of activations (quantize.c) and of keys and values (kv_cache.c). */
#ifndef QSPARSE_ROUND_BYTES_H
#define QSPARSE_ROUND_BYTES_H

#include "kernel.h"

/* Adding 1.5 * 2^23 rounds to a whole number, ties to even, which then stands in the lowest bits. */
#define ROUND 12582912.0f

/* x as it is, and no part of a fused multiply-add: a product that is not rounded by itself would come out on another side of a half here and
 * there, and with it the text that a model writes on another backend. */
#if defined(__x86_64__)
#define OWN_ROUNDING(x) __asm__("" : "+x"(x))
#elif defined(__aarch64__)
#define OWN_ROUNDING(x) __asm__("" : "+w"(x))
#else
#define OWN_ROUNDING(x) (void)0
#endif

INLINE vi quantize_lanes(vf x, float factor) {
  x *= factor;
  OWN_ROUNDING(x);
  return (vi)(x + ROUND) - (vi)splat(ROUND);
}

INLINE int8_t quantize_one(float x, float factor) {
  x *= factor;
  OWN_ROUNDING(x);
  return (int8_t)(int32_t)(x + ROUND - ROUND);
}

/* The lowest byte of each lane. */
INLINE void store_bytes(int8_t *to, vi v) {
  for (int j = 0; j < VL; j++) to[j] = (int8_t)v[j];
}

#endif
