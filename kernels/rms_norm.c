/* RMSNorm forward and backward.
 *
 * out = x * rstd * weight with rstd = 1 / sqrt(mean(x^2) + eps) of each row (Zhang & Sennrich, arXiv 1910.07467).
 *
 * rms_norm:                 x, weight, out, rstd, N, D, eps                      rows are shared
 * rms_norm_backward:        x, weight, rstd, dOut, dX, N, D, accumulate          rows are shared
 * rms_norm_backward_weight: x, rstd, dOut, dWeight, N, D   (dWeight +=)          columns are shared
 */
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
