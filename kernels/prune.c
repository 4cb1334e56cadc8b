/* Small elements of a gradient to zero or to the threshold, by a chance that keeps their mean.
 *
 * An element with |x| < threshold becomes the threshold with its sign where u threshold < |x|, u = 0 .. 1 - 2^-24 of the hash of its
 * place and the seed, and else +0. Larger ones and NaN stay. Source: Ye et al., arXiv 1908.00173, section 3.
 *
 * prune_by_chance: x, rows, cols, threshold, seed               rows are shared
 */
#include "chance.h"

#define CHANCE_BITS 24

INLINE vu lane_numbers(void) {
  vu lanes;
  for (int i = 0; i < VL; i++) lanes[i] = (uint32_t)i;
  return lanes;
}

static void prune_row(float *x, int64_t cols, uint32_t firstPlace, float threshold, uint32_t seed) {
  const vi sign = (vi)splat(-0.0f), full = (vi)splat(threshold);
  const float unit = threshold / (1 << CHANCE_BITS);
  const vu numbers = lane_numbers();
  FOR_VECTORS(cols, {
    const vf value = GET(x, 0);
    const vf size = (vf)((vi)value & ~sign);
    const vu chance = chance_lanes(numbers + (firstPlace + (uint32_t)i), seed) >> (32 - CHANCE_BITS);
    const vi isKept = __builtin_convertvector((vi)chance, vf) * unit < size;
    const vf pruned = where(isKept, (vf)(((vi)value & sign) | full));
    PUT(x, choose(size < threshold, pruned, value));
  });
}

static void prune_by_chance(const double *args, work w) {
  float *x = PF(0);
  const int64_t cols = INT(2);
  int64_t first, last;
  share(INT(1), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++)
    prune_row(x + r * cols, cols, (uint32_t)(r * cols), FLT(3), (uint32_t)INT(4));
}
