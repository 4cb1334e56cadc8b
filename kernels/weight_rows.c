/* weight_rows: out [N, n] = the rows of w at ids, as f32: the embedding of stored weights.
 *
 * weight_rows: ids, w, rowBytes, wScale, dtype, out, N, n       wScale [rows] is 0 for f32 and bf16       rows are shared
 */
#include "weight_row.h"

static void weight_rows(const double *args, work w) {
  const int64_t type = INT(4), n = INT(7);
  int64_t first, last;
  share(INT(6), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t id = PI(0)[r];
    const uint8_t *row = (const uint8_t *)PF(1) + id * INT(2);
    const float scale = type <= WEIGHT_BF16 ? 1 : PF(3)[id];
    float *to = PF(5) + r * n;
    for (int64_t c = 0; c < n; c++) {
      if (type == WEIGHT_F32) to[c] = ((const float *)row)[c];
      else if (type == WEIGHT_BF16) to[c] = bf16_at(row, c);
      else if (type == WEIGHT_INT8) to[c] = (float)((const int8_t *)row)[c] * scale;
      else to[c] = (float)ternary_at(row, c) * scale;
    }
  }
}
