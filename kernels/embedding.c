/* Rows of a table by token id, and the sum of gradients back into them.
 *
 * embedding:          ids, table, out, N, D                       rows are shared
 * embedding_backward: ids, dOut, dTable, N, D   (dTable +=)       columns are shared: equal ids meet in one part
 */
#include "vector_math.h"

static void embedding(const double *args, work w) {
  const int32_t *ids = PI(0);
  const float *table = PF(1);
  float *out = PF(2);
  const int64_t N = INT(3), D = INT(4);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *from = table + (int64_t)ids[r] * D;
    float *to = out + r * D;
    FOR_VECTORS(D, { PUT(to, GET(from, 0)); });
  }
}

static void embedding_backward(const double *args, work w) {
  const int32_t *ids = PI(0);
  const float *dOut = PF(1);
  float *dTable = PF(2);
  const int64_t N = INT(3), D = INT(4);
  int64_t first, last;
  share(D, 16, w, &first, &last);
  for (int64_t r = 0; r < N; r++) {
    const float *from = dOut + r * D + first;
    float *to = dTable + (int64_t)ids[r] * D + first;
    FOR_VECTORS(last - first, { PUT(to, GET(to, 0) + GET(from, 0)); });
  }
}
