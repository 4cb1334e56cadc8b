/* select_top_k: the `kept` largest |x| of each row, ties to the lower index, listed in ascending order of the index.
 *
 * No sort: a threshold is searched between 0 and the largest magnitude, with one vectorised count a step, until exactly
 * `kept` elements reach it. The first guess comes from the mean (activations are near to normal), the next ones from
 * interpolating the counts; every third step halves the interval of bit patterns, so that 3 * 31 steps are the most whatever the
 * values. Two neighbouring thresholds with too many and too few elements mean a tie at the cut: then all above it and the first of
 * the equal ones are listed.
 * Source: Q-Sparse (arXiv 2407.10969) eq. 3, M = TopK(|X|).
 *
 * select_top_k: x, start, index, value, N, D, kept
 */
#include "compact.h"

INLINE float tk_value(int32_t bits) {
  union { int32_t i; float f; } u = {.i = bits};
  return u.f;
}

INLINE void tk_row(const float *x, int64_t size, int64_t kept, int32_t *index, float *value) {
  if (kept == size) {
    for (int64_t i = 0; i < size; i++) {
      index[i] = (int32_t)i;
      value[i] = x[i];
    }
    return;
  }
  int32_t largest = 0;
  float sum = 0;
  {
    const vi m = MAGNITUDE - (vi){0};
    vi top = {0};
    vf sums = {0};
    int64_t i = 0;
    for (; i + VL <= size; i += VL) {
      const vi bits = *(const viu *)(x + i) & m;
      const vi more = bits > top;
      top = (bits & more) | (top & ~more);
      sums += (vf)bits;
    }
    for (int j = 0; j < VL; j++) {
      largest = MAX(largest, top[j]);
      sum += sums[j];
    }
    for (; i < size; i++) {
      largest = MAX(largest, magnitude(x[i]));
      sum += tk_value(magnitude(x[i]));
    }
  }
  /* `low` is reached by too many or just enough, `high` by too few. */
  int32_t low = 0;
  int64_t high = (int64_t)largest + 1; /* 2^31 where a NaN has all bits set */
  int64_t atLow = size, atHigh = 0;
  const float share = (float)kept / (float)size;
  /* The quantile of |normal| at 1 - share over its mean, within 20 % for shares of 0.2 .. 0.9. */
  int32_t guess = magnitude(sum / (float)size * 1.69f * (1 - share));
  for (int step = 1; atLow != kept && high - low > 1; step++) {
    const int32_t middle = guess > low && guess < high ? guess : (int32_t)(low + (high - low) / 2);
    const int64_t count = count_reaching(x, size, middle);
    if (count >= kept) low = middle, atLow = count;
    else high = middle, atHigh = count;
    const float a = tk_value(low), b = tk_value((int32_t)MIN(high, MAGNITUDE));
    guess = step % 3 ? magnitude(a + (b - a) * ((float)(atLow - kept) + 0.5f) / (float)(atLow - atHigh)) : 0;
  }
  if (atLow == kept) {
    list_elements(x, size, low, index, value, 0, kept);
    return;
  }
  int64_t equal = kept - atHigh, at = 0;
  for (int64_t i = 0; at < kept; i++) {
    const int32_t bits = magnitude(x[i]);
    if (bits < low || (bits == low && equal-- <= 0)) continue;
    index[at] = (int32_t)i;
    value[at++] = x[i];
  }
}

static void select_top_k(const double *args, work w) {
  const float *x = PF(0);
  int32_t *start = PI(1), *index = PI(2);
  float *value = PF(3);
  const int64_t rows = INT(4), size = INT(5), kept = INT(6);
  int64_t first, last;
  share(rows, 1, w, &first, &last);
  if (w.part == 0) start[0] = 0;
  for (int64_t r = first; r < last; r++) {
    start[r + 1] = (int32_t)((r + 1) * kept);
    tk_row(x + r * size, size, kept, index + r * kept, value + r * kept);
  }
}
