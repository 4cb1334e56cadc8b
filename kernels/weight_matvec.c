/* weight_matvec: out [tokens, n] (+)= x w, each token on its own; only the rows of w at its non-zeros are read.
 *
 * weight_matvec: start, index, value, xScale, w, rowBytes, wScale, groupRows, dtype, out, tokens, k, n, accumulate
 * start and index are 0 for dense x; xScale and wScale are 0 for f32 and bf16 weights.
 */
#include "weight_row.h"

/* One element of the product. */
INLINE float weight_element(const double *args, int64_t token, int64_t c) {
  const int32_t *start = PI(0), *index = PI(1);
  const int64_t k = INT(11), n = INT(12), groupRows = INT(7), type = INT(8);
  const int64_t first = start ? start[token] : 0, last = start ? start[token + 1] : k, base = start ? 0 : token * k;
  const uint8_t *w = (const uint8_t *)PF(4);
  float total = 0;
  int32_t sum = 0;
  int64_t group = 0;
  for (int64_t e = first; e < last; e++) {
    const int64_t i = start ? index[e] : e;
    const uint8_t *row = w + i * INT(5);
    if (type <= WEIGHT_BF16) {
      total += PF(2)[base + e] * (type == WEIGHT_F32 ? ((const float *)row)[c] : bf16_at(row, c));
      continue;
    }
    if (i / groupRows != group) {
      total += (float)sum * PF(6)[group * n + c];
      sum = 0;
      group = i / groupRows;
    }
    const int32_t x = ((const int8_t *)PF(2))[base + e];
    sum += x * (type == WEIGHT_INT8 ? ((const int8_t *)row)[c] : ternary_at(row, c));
  }
  return type <= WEIGHT_BF16 ? total : (total + (float)sum * PF(6)[group * n + c]) * PF(3)[token];
}

static void weight_matvec(const double *args, work w) {
  int64_t first, last;
  share(INT(12), 64, w, &first, &last);
  for (int64_t token = 0; token < INT(10); token++)
    for (int64_t c = first; c < last; c++) {
      float *out = PF(9) + token * INT(12) + c;
      *out = (INT(13) ? *out : 0) + weight_element(args, token, c);
    }
}
