/* Lists of non-zeros (SparseRows): counting, gathering, transposing, writing out, masking and re-scaling them.
 *
 * A list is made in two passes, a count and a fill, so that it takes exactly the memory that it needs and nothing can overflow. Between
 * them `prefix_sum` (run as one part) turns counts into starts.
 *
 * count_non_zeros: x, start, N, D, threshold         start[r + 1] = count of row r, start[0] = 0; a threshold of 0: what is not 0
 * prefix_sum: start, n                               start[i] += start[i - 1] for i = 1 .. n
 * gather_non_zeros: x, start, index, value, N, D, threshold
 * count_positive_at: atStart, x, start, rows         of the elements of a list those whose x is open, as in count_open
 * gather_positive_at: atStart, atIndex, atValue, x, start, index, value, outX, rows
 * transpose_counts: start, index, outStart, rows, cols
 * transpose_fill: start, index, value, outStart, outIndex, outValue, rows, cols
 * scatter_rows: start, index, value, out, rows, cols
 * gather_at: x, start, index, out, rows, stride     x at the first of its columns that count
 * mask_rows: x, start, index, out, rows, cols
 * rescale_rows: start, value, norm, rows, cols
 * rescale_rows_backward: start, index, value, norm, gradient, rows, cols
 */
#include "compact.h"

#define RESCALE_EPS 1e-6f
#define ROWS_FILL_COLS (SCRATCH_BYTES / 4) /* columns that transpose_fill takes at a time */

/* The bits of the least magnitude that counts: of the smallest number there is where the threshold is 0. */
INLINE int32_t rows_threshold(float threshold) { return MAX(1, magnitude(threshold)); }

static void count_non_zeros(const double *args, work w) {
  const float *x = PF(0);
  int32_t *start = PI(1);
  const int64_t size = INT(3);
  int64_t first, last;
  share(INT(2), 1, w, &first, &last);
  if (w.part == 0) start[0] = 0;
  const int32_t threshold = rows_threshold(FLT(4));
  for (int64_t r = first; r < last; r++) start[r + 1] = (int32_t)count_reaching(x + r * size, size, threshold);
}

static void prefix_sum(const double *args, work w) {
  int32_t *start = PI(0);
  const int64_t n = INT(1);
  if (w.part != 0) return;
  for (int64_t i = 0; i < n; i++) start[i + 1] += start[i];
}

static void gather_non_zeros(const double *args, work w) {
  const float *x = PF(0);
  const int32_t *start = PI(1);
  int32_t *index = PI(2);
  float *value = PF(3);
  const int64_t size = INT(5);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  const int32_t threshold = rows_threshold(FLT(6));
  for (int64_t r = first; r < last; r++)
    list_elements(x + r * size, size, threshold, index, value, start[r], start[r + 1]);
}

static void count_positive_at(const double *args, work w) {
  const int32_t *atStart = PI(0);
  int32_t *start = PI(2);
  int64_t first, last;
  share(INT(3), 1, w, &first, &last);
  if (w.part == 0) start[0] = 0;
  for (int64_t r = first; r < last; r++)
    start[r + 1] = (int32_t)count_open(PF(1) + atStart[r], atStart[r + 1] - atStart[r]);
}

static void gather_positive_at(const double *args, work w) {
  const int32_t *atStart = PI(0), *atIndex = PI(1), *start = PI(4);
  const float *atValue = PF(2), *x = PF(3);
  int32_t *index = PI(5);
  float *value = PF(6), *outX = PF(7);
  int64_t first, last;
  share(INT(8), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    int64_t from = atStart[r];
    for (int64_t to = start[r]; to < start[r + 1]; from++) {
      index[to] = atIndex[from];
      value[to] = atValue[from];
      outX[to] = x[from];
      to += !(x[from] <= 0);
    }
  }
}

static void transpose_counts(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  int32_t *count = PI(2) + 1;
  const int64_t rows = INT(3), cols = INT(4);
  int64_t first, last;
  share(cols, 16, w, &first, &last);
  if (w.part == 0) count[-1] = 0;
  for (int64_t c = first; c < last; c++) count[c] = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = rows_seek(index, start[r], start[r + 1], first); i < start[r + 1] && index[i] < last; i++)
      count[index[i]]++;
}

static void transpose_fill(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  const float *value = PF(2);
  const int32_t *outStart = PI(3);
  int32_t *outIndex = PI(4);
  float *outValue = PF(5);
  const int64_t rows = INT(6), cols = INT(7);
  int64_t first, last;
  share(cols, 16, w, &first, &last);
  int32_t *next = w.scratch; /* where the next element of each column goes */
  for (int64_t c0 = first; c0 < last; c0 += ROWS_FILL_COLS) {
    const int64_t c1 = MIN(last, c0 + ROWS_FILL_COLS);
    for (int64_t c = c0; c < c1; c++) next[c - c0] = outStart[c];
    for (int64_t r = 0; r < rows; r++)
      for (int64_t i = rows_seek(index, start[r], start[r + 1], c0); i < start[r + 1] && index[i] < c1; i++) {
        const int32_t to = next[index[i] - c0]++;
        outIndex[to] = (int32_t)r;
        outValue[to] = value[i];
      }
  }
}

static void scatter_rows(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  const float *value = PF(2);
  const int64_t cols = INT(5);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    float *out = PF(3) + r * cols;
    for (int64_t c = 0; c < cols; c++) out[c] = 0;
    for (int64_t i = start[r]; i < start[r + 1]; i++) out[index[i]] = value[i];
  }
}

static void gather_at(const double *args, work w) {
  const int32_t *start = PI(1), *index = PI(2);
  float *out = PF(3);
  const int64_t stride = INT(5);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *x = PF(0) + r * stride;
    for (int64_t i = start[r]; i < start[r + 1]; i++) out[i] = x[index[i]];
  }
}

static void mask_rows(const double *args, work w) {
  const int32_t *start = PI(1), *index = PI(2);
  const int64_t cols = INT(5);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *x = PF(0) + r * cols;
    float *out = PF(3) + r * cols;
    int64_t c = 0; /* x may be out: the columns between two elements are cleared, the elements copied */
    for (int64_t i = start[r]; i < start[r + 1]; i++) {
      for (; c < index[i]; c++) out[c] = 0;
      out[c] = x[c];
      c++;
    }
    for (; c < cols; c++) out[c] = 0;
  }
}

static void rescale_rows(const double *args, work w) {
  const int32_t *start = PI(0);
  float *value = PF(1), *norm = PF(2);
  const float root = __builtin_sqrtf((float)INT(4));
  int64_t first, last;
  share(INT(3), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    double sum = 0;
    for (int64_t i = start[r]; i < start[r + 1]; i++) sum += (double)value[i] * value[i];
    norm[r] = (float)__builtin_sqrt(sum);
    const float factor = root / (norm[r] + RESCALE_EPS);
    for (int64_t i = start[r]; i < start[r + 1]; i++) value[i] *= factor;
  }
}

/* y = f m, f = sqrt(cols) / (n + eps), n = ||m||: dm = f g - y (y . g) (n + eps) / (n cols) * f ... with m = y / f:
 * dm = f (g - y (y . g) / (n f sqrt(cols))), and 0 along m where n is 0. A row of nothing has no direction: its gradient is 0,
 * and not g times sqrt(cols) / eps. */
static void rescale_rows_backward(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  const float *value = PF(2), *norm = PF(3);
  const int64_t cols = INT(6);
  const float root = __builtin_sqrtf((float)cols);
  int64_t first, last;
  share(INT(5), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    float *g = PF(4) + r * cols;
    const float factor = start[r] == start[r + 1] ? 0 : root / (norm[r] + RESCALE_EPS);
    double along = 0;
    for (int64_t i = start[r]; i < start[r + 1]; i++) along += (double)value[i] * g[index[i]];
    const float back = norm[r] > 0 ? (float)(along / ((double)norm[r] * factor * root)) : 0;
    for (int64_t i = start[r]; i < start[r + 1]; i++) g[index[i]] -= value[i] * back;
    for (int64_t c = 0; c < cols; c++) g[c] *= factor;
  }
}
