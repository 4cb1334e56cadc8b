/* One token: matvec (dense), sparse_matvec (only the rows of w at the token's non-zeros), matvec_transposed (the output head).
 *
 * Decoding is bound by the memory. Weights are input-major, so that a zero skips a whole row; but a single row after another is slow,
 * because the hardware foresees streams, not jumps. Hence 8 rows are read side by side, which are summed into the output
 * while it lies in L1, and the next 8 are asked into L2 meanwhile. `qsparse bench decode` measures it.
 * Columns are divided between the parts; a column's additions run in the order of the rows, whatever the parts.
 *
 * matvec: x, w, out, k, n, accumulate
 * sparse_matvec: start, index, value, w, out, k, n, accumulate
 * matvec_transposed: x, w, out, k, n                 w [n, k]
 */
#include "kernel.h"

#define MV_STREAMS 8

/* out [cols] += sum of x[s] * rows[s] over the streams. */
INLINE void mv_group(const float *const *rows, const float *x, float *out, int64_t cols) {
  int64_t c = 0;
  for (; c + VL <= cols; c += VL) {
    vf sum = load(out + c);
#pragma GCC unroll 8
    for (int s = 0; s < MV_STREAMS; s++) sum += x[s] * load(rows[s] + c);
    store(out + c, sum);
  }
  for (; c < cols; c++) {
    float sum = out[c];
    for (int s = 0; s < MV_STREAMS; s++) sum += x[s] * rows[s][c];
    out[c] = sum;
  }
}

INLINE void mv_single(const float *row, float x, float *out, int64_t cols) {
  int64_t c = 0;
  for (; c + VL <= cols; c += VL) store(out + c, load(out + c) + x * load(row + c));
  for (; c < cols; c++) out[c] += x * row[c];
}

static void matvec(const double *args, work w) {
  const float *x = PF(0), *weight = PF(1);
  const int64_t k = INT(3), n = INT(4);
  int64_t first, last, i = 0;
  share(n, 64, w, &first, &last);
  float *out = PF(2) + first;
  const int64_t cols = last - first;
  if (!INT(5))
    for (int64_t c = 0; c < cols; c++) out[c] = 0;
  for (; i + MV_STREAMS <= k; i += MV_STREAMS) {
    const float *rows[MV_STREAMS];
    for (int s = 0; s < MV_STREAMS; s++) rows[s] = weight + (i + s) * n + first;
    mv_group(rows, x + i, out, cols);
  }
  for (; i < k; i++) mv_single(weight + i * n + first, x[i], out, cols);
}

static void sparse_matvec(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1) + start[0];
  const float *value = PF(2) + start[0], *weight = PF(3);
  const int64_t n = INT(6), count = start[1] - start[0];
  int64_t first, last, i = 0;
  share(n, 64, w, &first, &last);
  float *out = PF(4) + first;
  const int64_t cols = last - first;
  if (!INT(7))
    for (int64_t c = 0; c < cols; c++) out[c] = 0;
  for (; i + MV_STREAMS <= count; i += MV_STREAMS) {
    const float *rows[MV_STREAMS];
    for (int s = 0; s < MV_STREAMS; s++) rows[s] = weight + (int64_t)index[i + s] * n + first;
    for (int64_t ahead = i + MV_STREAMS; ahead < MIN(count, i + 2 * MV_STREAMS); ahead++) {
      const float *next = weight + (int64_t)index[ahead] * n + first;
      for (int64_t c = 0; c < cols; c += 16) __builtin_prefetch(next + c, 0, 2);
    }
    mv_group(rows, value + i, out, cols);
  }
  for (; i < count; i++) mv_single(weight + (int64_t)index[i] * n + first, value[i], out, cols);
}

static void matvec_transposed(const double *args, work w) {
  const float *x = PF(0), *weight = PF(1);
  float *out = PF(2);
  const int64_t k = INT(3);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *row = weight + r * k;
    vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int64_t i = 0;
    for (; i + 4 * VL <= k; i += 4 * VL) {
      s0 += load(x + i) * load(row + i);
      s1 += load(x + i + VL) * load(row + i + VL);
      s2 += load(x + i + 2 * VL) * load(row + i + 2 * VL);
      s3 += load(x + i + 3 * VL) * load(row + i + 3 * VL);
    }
    s0 += s1 + s2 + s3;
    float sum = 0;
    for (int j = 0; j < VL; j++) sum += s0[j];
    for (; i < k; i++) sum += x[i] * row[i];
    out[r] = sum;
  }
}
