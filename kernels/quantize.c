/* quantize_rows: x [rows, cols], or the values of a list, to 8 bits with one scale a row (Q-Sparse eq. 5 - 7).
 *
 * quantize_rows: x, start, value, scale, rows, cols        start is 0 for dense x
 */
#include "compact.h"
#include "vector_math.h"

/* Adding 1.5 * 2^23 rounds to a whole number, ties to even, which then stands in the lowest bits. */
#define ROUND 12582912.0f

INLINE vf magnitude_of(vf x) { return (vf)((vi)x & MAGNITUDE); }

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

static void quantize_rows(const double *args, work w) {
  const int32_t *start = PI(1);
  const int64_t cols = INT(5);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t begin = start ? start[r] : r * cols, end = start ? start[r + 1] : begin + cols;
    const float *x = PF(0);
    int8_t *value = (int8_t *)PF(2);
    vf most = {0};
    int64_t i = begin;
    for (; i + VL <= end; i += VL) most = larger(magnitude_of(load(x + i)), most);
    float largest = max_lanes(most);
    for (; i < end; i++) largest = MAX(largest, __builtin_fabsf(x[i]));
    const float factor = 127.0f / (largest + 1e-5f);
    PF(3)[r] = (largest + 1e-5f) / 127.0f;
    for (i = begin; i + VL <= end; i += VL) store_bytes(value + i, quantize_lanes(load(x + i), factor));
    for (; i < end; i++) value[i] = quantize_one(x[i], factor);
  }
}
