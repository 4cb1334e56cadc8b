/* weight_dots: out [tokens, n] = x w^T, w [n, k], or only the elements named by a list.
 *
 * weight_dots: x, xScale, w, rowBytes, wScale, dtype, out, tokens, n, k, start, index      start and index are 0: all elements
 */
#include "weight_row.h"

INLINE float weight_dot(const double *args, int64_t token, int64_t r) {
  const int64_t k = INT(9), type = INT(5);
  const uint8_t *row = (const uint8_t *)PF(2) + r * INT(3);
  float total = 0;
  int32_t sum = 0;
  for (int64_t i = 0; i < k; i++) {
    if (type <= WEIGHT_BF16) total += PF(0)[token * k + i] * (type == WEIGHT_F32 ? ((const float *)row)[i] : bf16_at(row, i));
    else sum += ((const int8_t *)PF(0))[token * k + i] * (type == WEIGHT_INT8 ? ((const int8_t *)row)[i] : ternary_at(row, i));
  }
  return type <= WEIGHT_BF16 ? total : (float)sum * PF(4)[r] * PF(1)[token];
}

static void weight_dots(const double *args, work w) {
  const int64_t tokens = INT(7), n = INT(8);
  const int32_t *start = PI(10), *index = PI(11);
  int64_t first, last;
  share(start ? start[tokens] : tokens * n, 16, w, &first, &last);
  int64_t token = 0;
  for (int64_t e = first; e < last; e++) {
    if (start)
      while (e >= start[token + 1]) token++;
    PF(6)[e] = start ? weight_dot(args, token, index[e]) : weight_dot(args, e / n, e % n);
  }
}
