/* Activations in 8 bits with one scale a row (Q-Sparse eq. 5 - 7), x [rows, cols] or the values of a list, and ternary weights (eq. 8 - 10).
 *
 * Rounding to 8 bits and back to floats (fake_quantize_rows) gives what the integers of quantize_rows stand for: training multiplies
 * the one, inference the other. A row with NaN or infinity has a scale of NaN, or NaN wherever that counts.
 *
 * quantize_rows:      x, start, value, scale, rows, cols               start is 0 for dense x               rows are shared
 * fake_quantize_rows: x, start, out, rows, cols                        likewise; out may be x               rows are shared
 * ternarize:          w, out, rows, cols, first, count, alpha, threshold   columns first .. first + count   rows are shared
 */
#include "compact.h"
#include "round_bytes.h"
#include "vector_math.h"

/* Keeps the quotient finite for a row of zeros. */
#define EPSILON 1e-5f

INLINE vf magnitude_of(vf x) { return (vf)((vi)x & MAGNITUDE); }

/* max |x|; a NaN is passed over. */
INLINE float largest_of(const float *x, int64_t count) {
  vf most = {0};
  int64_t i = 0;
  for (; i + VL <= count; i += VL) most = larger(magnitude_of(load(x + i)), most);
  float largest = max_lanes(most);
  for (; i < count; i++) {
    const float size = __builtin_fabsf(x[i]);
    largest = MAX(size, largest);
  }
  return largest;
}

/* The scale of the row. */
static float quantize_row(const float *x, int8_t *value, int64_t count) {
  const float largest = largest_of(x, count);
  const float factor = 127.0f / (largest + EPSILON);
  vf broken = {0};
  int64_t i = 0;
  for (; i + VL <= count; i += VL) {
    const vf v = load(x + i);
    broken += v * 0.0f;
    store_bytes(value + i, quantize_lanes(v, factor));
  }
  float sum = sum_lanes(broken);
  for (; i < count; i++) {
    sum += x[i] * 0.0f;
    value[i] = quantize_one(x[i], factor);
  }
  return largest / 127.0f + sum;
}

static void quantize_rows(const double *args, work w) {
  const int32_t *start = PI(1);
  const int64_t cols = INT(5);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t begin = start ? start[r] : r * cols, end = start ? start[r + 1] : begin + cols;
    PF(3)[r] = quantize_row(PF(0) + begin, (int8_t *)PF(2) + begin, end - begin);
  }
}

static void fake_quantize_rows(const double *args, work w) {
  const int32_t *start = PI(1);
  const int64_t cols = INT(4);
  int64_t first, last;
  share(INT(3), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t begin = start ? start[r] : r * cols, end = start ? start[r + 1] : begin + cols;
    const float *x = PF(0) + begin;
    float *out = PF(2) + begin;
    const float largest = largest_of(x, end - begin);
    const float factor = 127.0f / (largest + EPSILON), scale = largest / 127.0f;
    FOR_VECTORS(end - begin, {
      vf v = GET(x, 0) * factor;
      OWN_ROUNDING(v);
      PUT(out, (v + ROUND - ROUND) * scale);
    });
  }
}

static void ternarize(const double *args, work w) {
  const int64_t cols = INT(3), from = INT(4), count = INT(5);
  const float alpha = FLT(6), threshold = FLT(7);
  int64_t first, last;
  share(INT(2), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *x = PF(0) + r * cols + from;
    float *out = PF(1) + r * cols + from;
    FOR_VECTORS(count, {
      const vf v = GET(x, 0);
      const vf positive = where(v > threshold, splat(1)), negative = where(v < -threshold, splat(1));
      PUT(out, (positive - negative) * alpha);
    });
  }
}
