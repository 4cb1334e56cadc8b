/* RMSNorm forward and backward.
 *
 * out = x * rstd * weight with rstd = 1 / sqrt(mean(x^2) + eps) of each row (Zhang & Sennrich, arXiv 1910.07467).
 *
 * Of a list of the non-zeros of x the sums are those of whole rows, and what is written stands in its order: zeros stay zeros, and their
 * gradient is left out.
 *
 * rms_norm:                 x, weight, out, rstd, N, D, eps                      rows are shared; out may be x
 * rms_norm_backward:        x, weight, rstd, dOut, dX, N, D, accumulate          rows are shared
 * rms_norm_backward_weight: x, rstd, dOut, dWeight, N, D   (dWeight +=)          columns are shared
 * rms_norm_rows:            start, index, value, weight, out, rstd, N, D, eps    rows are shared; out may be value
 * rms_norm_rows_backward:   start, index, value, weight, rstd, dOut, dX, N, D    rows are shared; dX may be dOut
 * rms_norm_rows_backward_weight: start, index, value, rstd, dOut, dWeight, N, D   (dWeight +=)   columns are shared
 */
#include "compact.h"
#include "vector_math.h"

static void rms_norm_row(const float *x, const float *weight, float *out, float *rstd, int64_t D, float eps) {
  vf sum = splat(0);
  FOR_VECTORS(D, {
    vf value = GET(x, 0);
    sum += value * value;
  });
  const float factor = 1.0f / __builtin_sqrtf(sum_lanes(sum) / (float)D + eps);
  *rstd = factor;
  FOR_VECTORS(D, { PUT(out, GET(x, 0) * factor * GET(weight, 0)); });
}

static void rms_norm(const double *args, work w) {
  const float *x = PF(0), *weight = PF(1);
  float *out = PF(2), *rstd = PF(3);
  const int64_t N = INT(4), D = INT(5);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) rms_norm_row(x + r * D, weight, out + r * D, rstd + r, D, FLT(6));
}

/* dX = rstd (weight dOut - x rstd^2 mean(weight dOut x)): the second part is how rstd itself depends on x. */
static void rms_norm_backward_row(const float *x, const float *weight, float rstd, const float *dOut, float *dX,
                                  int64_t D, int accumulate) {
  vf sum = splat(0);
  FOR_VECTORS(D, { sum += GET(weight, 0) * GET(dOut, 0) * GET(x, 0); });
  const float along = sum_lanes(sum) / (float)D * rstd * rstd;
  FOR_VECTORS(D, {
    vf gradient = (GET(weight, 0) * GET(dOut, 0) - GET(x, 0) * along) * rstd;
    PUT(dX, accumulate ? GET(dX, 0) + gradient : gradient);
  });
}

static void rms_norm_backward(const double *args, work w) {
  const float *x = PF(0), *weight = PF(1), *rstd = PF(2), *dOut = PF(3);
  float *dX = PF(4);
  const int64_t N = INT(5), D = INT(6);
  const int accumulate = args[7] != 0;
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++)
    rms_norm_backward_row(x + r * D, weight, rstd[r], dOut + r * D, dX + r * D, D, accumulate);
}

static void rms_norm_backward_weight(const double *args, work w) {
  const float *x = PF(0), *rstd = PF(1), *dOut = PF(2);
  float *dWeight = PF(3);
  const int64_t N = INT(4), D = INT(5);
  int64_t first, last;
  share(D, 16, w, &first, &last);
  /* Sixteen rows a pass: fewer trips through dWeight, and short sums before they meet a long one. */
  for (int64_t r0 = 0; r0 < N; r0 += 16) {
    const int64_t r1 = MIN(N, r0 + 16);
    FOR_VECTORS(last - first, {
      vf sum = splat(0);
      for (int64_t r = r0; r < r1; r++) {
        const float *xRow = x + r * D + first, *dRow = dOut + r * D + first;
        sum += GET(xRow, 0) * rstd[r] * GET(dRow, 0);
      }
      float *to = dWeight + first;
      PUT(to, GET(to, 0) + sum);
    });
  }
}

static void rms_norm_rows(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  const float *weight = PF(3);
  const int64_t D = INT(7);
  int64_t first, last;
  share(INT(6), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t count = start[r + 1] - start[r];
    const int32_t *column = index + start[r];
    const float *x = PF(2) + start[r];
    float *out = PF(4) + start[r];
    vf sum = splat(0);
    FOR_VECTORS(count, {
      vf value = GET(x, 0);
      sum += value * value;
    });
    const float factor = 1.0f / __builtin_sqrtf(sum_lanes(sum) / (float)D + FLT(8));
    PF(5)[r] = factor;
    for (int64_t i = 0; i < count; i++) out[i] = x[i] * factor * weight[column[i]];
  }
}

static void rms_norm_rows_backward(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  const float *weight = PF(3);
  const int64_t D = INT(8);
  int64_t first, last;
  share(INT(7), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t count = start[r + 1] - start[r];
    const int32_t *column = index + start[r];
    const float *x = PF(2) + start[r], *dOut = PF(5) + start[r], rstd = PF(4)[r];
    float *dX = PF(6) + start[r];
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)(weight[column[i]] * dOut[i]) * x[i];
    const float along = (float)(sum / (double)D) * rstd * rstd;
    for (int64_t i = 0; i < count; i++) dX[i] = (weight[column[i]] * dOut[i] - x[i] * along) * rstd;
  }
}

static void rms_norm_rows_backward_weight(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  const float *x = PF(2), *rstd = PF(3), *dOut = PF(4);
  float *dWeight = PF(5);
  const int64_t N = INT(6), most = SCRATCH_BYTES / sizeof(double);
  double *sum = w.scratch;
  int64_t first, last;
  share(INT(7), 16, w, &first, &last);
  for (int64_t c0 = first; c0 < last; c0 += most) {
    const int64_t c1 = MIN(last, c0 + most);
    for (int64_t c = c0; c < c1; c++) sum[c - c0] = 0;
    for (int64_t r = 0; r < N; r++) {
      const int64_t end = start[r + 1];
      for (int64_t i = rows_seek(index, start[r], end, c0); i < end && index[i] < c1; i++)
        sum[index[i] - c0] += (double)(x[i] * rstd[r]) * dOut[i];
    }
    for (int64_t c = c0; c < c1; c++) dWeight[c] += (float)sum[c - c0];
  }
}
