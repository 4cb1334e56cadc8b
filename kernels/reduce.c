/* Sums over rows, and element-wise helpers.
 *
 * Sums of a row are taken in f64 and written as f64: they feed the gradient norm and shares of energy, and the caller
 * adds the rows in order, so that the total does not depend on the number of parts.
 *
 * sum_squares: x, partial (f64), rows, cols, first, count     of columns first .. first + count     rows are shared
 * sum_abs:     the same
 * add:         a, b, out, size           out may be a or b                                          elements are shared
 * transpose:   x, out, rows, cols, stride, accumulate   out [cols, rows] (+)= x^T, rows of x `stride` apart   columns are shared
 * scale:       x, size, factor                                                                      elements are shared
 * copy:        from, to, bytes           whole 4-byte words                                         elements are shared
 * fill:        x, size, value                                                                       elements are shared
 */
#include "vector_math.h"

/* Eight f64 sums side by side, in the shape that compilers turn into vectors of any width. The order is part of sumAbs' contract. */
#define REDUCE_STREAMS 8

INLINE double reduce_row(const float *x, int64_t count, int squares) {
  double sum[REDUCE_STREAMS] = {0};
  int64_t j = 0;
  for (; j + REDUCE_STREAMS <= count; j += REDUCE_STREAMS)
    for (int s = 0; s < REDUCE_STREAMS; s++) {
      const double value = x[j + s];
      sum[s] += squares ? value * value : __builtin_fabs(value);
    }
  for (; j < count; j++) sum[0] += squares ? (double)x[j] * x[j] : __builtin_fabs((double)x[j]);
  for (int width = REDUCE_STREAMS / 2; width; width /= 2)
    for (int s = 0; s < width; s++) sum[s] += sum[s + width];
  return sum[0];
}

static void sum_squares(const double *args, work w) {
  const float *x = PF(0);
  double *partial = PD(1);
  const int64_t rows = INT(2), cols = INT(3), from = INT(4), count = INT(5);
  int64_t first, last;
  share(rows, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) partial[r] = reduce_row(x + r * cols + from, count, 1);
}

static void sum_abs(const double *args, work w) {
  const float *x = PF(0);
  double *partial = PD(1);
  const int64_t rows = INT(2), cols = INT(3), from = INT(4), count = INT(5);
  int64_t first, last;
  share(rows, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) partial[r] = reduce_row(x + r * cols + from, count, 0);
}

static void add(const double *args, work w) {
  int64_t first, last;
  share(INT(3), 16, w, &first, &last);
  const float *a = PF(0) + first, *b = PF(1) + first;
  float *out = PF(2) + first;
  FOR_VECTORS(last - first, { PUT(out, GET(a, 0) + GET(b, 0)); });
}

/* Blocks of 16 x 16: the lines read and the lines written of a block lie in L1 together. */
static void transpose(const double *args, work w) {
  const float *x = PF(0);
  float *out = PF(1);
  const int64_t rows = INT(2), cols = INT(3), stride = INT(4), accumulate = INT(5), block = 16;
  int64_t first, last;
  share(cols, block, w, &first, &last);
  for (int64_t c0 = first; c0 < last; c0 += block)
    for (int64_t r0 = 0; r0 < rows; r0 += block)
      for (int64_t c = c0; c < MIN(last, c0 + block); c++)
        for (int64_t r = r0; r < MIN(rows, r0 + block); r++) {
          const float value = x[r * stride + c];
          out[c * rows + r] = accumulate ? out[c * rows + r] + value : value;
        }
}

static void scale(const double *args, work w) {
  int64_t first, last;
  share(INT(1), 16, w, &first, &last);
  float *x = PF(0) + first;
  const float factor = FLT(2);
  FOR_VECTORS(last - first, { PUT(x, GET(x, 0) * factor); });
}

/* Integers, not floats: a copied NaN keeps its bits. */
static void copy(const double *args, work w) {
  int64_t first, last;
  share(INT(2) / 4, 16, w, &first, &last);
  const int32_t *from = PI(0);
  int32_t *to = PI(1);
  for (int64_t j = first; j < last; j++) to[j] = from[j];
  if (w.part < w.parts - 1) return;
  for (int64_t j = INT(2) / 4 * 4; j < INT(2); j++) ((char *)to)[j] = ((const char *)from)[j];
}

static void fill(const double *args, work w) {
  int64_t first, last;
  share(INT(1), 16, w, &first, &last);
  float *x = PF(0) + first;
  const vf value = splat(FLT(2));
  FOR_VECTORS(last - first, { PUT(x, value); });
}
