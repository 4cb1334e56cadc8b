/* quantize_rows: x [rows, cols], or the values of a list, to 8 bits with one scale a row (Q-Sparse eq. 5 - 7).
 *
 * quantize_rows: x, start, value, scale, rows, cols        start is 0 for dense x
 */
#include "kernel.h"

static void quantize_rows(const double *args, work w) {
  const int32_t *start = PI(1);
  const int64_t cols = INT(5);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t begin = start ? start[r] : r * cols, end = start ? start[r + 1] : begin + cols;
    const float *x = PF(0);
    int8_t *value = (int8_t *)PF(2);
    float largest = 0;
    for (int64_t i = begin; i < end; i++) largest = MAX(largest, __builtin_fabsf(x[i]));
    const float factor = 127.0f / (largest + 1e-5f);
    PF(3)[r] = (largest + 1e-5f) / 127.0f;
    for (int64_t i = begin; i < end; i++) {
      /* Adding 1.5 * 2^23 rounds to a whole number, ties to even. */
      const float shifted = x[i] * factor + 12582912.0f;
      value[i] = (int8_t)(int32_t)(shifted - 12582912.0f);
    }
  }
}
