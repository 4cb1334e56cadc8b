/* What stands in front of a product of inference, in one pass over each row: RMSNorm, top-K, 8 bits; each where it is asked for, with the bits of
 * rms_norm, select_top_k and quantize_rows one after the other.
 *
 * A token makes some hundred short calls, and what two threads share has to travel between them: a row that is normed, selected and rounded
 * at once stays in the nearest cache of one thread, and only the list leaves it.
 *
 * select_input: x, weight, eps, start, index, value, bytes, scale, N, D, kept      weight 0: no norm; bytes 0: no rounding   rows are shared
 */
#include "kernel.h"

static void select_input(const double *args, work w) {
  const float *weight = PF(1);
  int32_t *start = PI(3), *index = PI(4);
  float *value = PF(5);
  int8_t *bytes = (int8_t *)PF(6);
  const int64_t rows = INT(8), size = INT(9), kept = INT(10);
  int64_t first, last;
  share(rows, 1, w, &first, &last);
  if (w.part == 0) start[0] = 0;
  for (int64_t r = first; r < last; r++) {
    const float *x = PF(0) + r * size;
    const int64_t at = r * kept;
    if (weight) {
      float rstd;
      rms_norm_row(x, weight, w.scratch, &rstd, size, FLT(2));
      x = w.scratch;
    }
    start[r + 1] = (int32_t)(at + kept);
    tk_row(x, size, kept, index + at, value + at);
    if (bytes) PF(7)[r] = quantize_row(value + at, bytes + at, kept);
  }
}
