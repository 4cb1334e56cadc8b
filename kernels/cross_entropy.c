/* Cross-entropy of a softmax over the vocabulary, with its gradient in place of the logits.
 *
 * loss = log(sum exp(logit - max)) + max - logit[target], nats. A row whose target is -1 has loss 0 and gradient 0,
 * whatever its logits hold.
 *
 * softmax_cross_entropy: logits, targets, losses, N, V, hasScale, scale               rows are shared
 */
#include "vector_math.h"

/* The largest of a row is looked for block by block, and its place in the best block alone. */
#define CROSS_ENTROPY_BLOCK 512

/* The largest of x [size], NaN passed over; -infinity where there is none. Two streams hide the latency. */
static float cross_entropy_max(const float *x, int64_t size) {
  vf even = splat(-__builtin_inff()), odd = even;
  int64_t j = 0;
  for (; j + 2 * VL <= size; j += 2 * VL) {
    even = larger(load(x + j), even);
    odd = larger(load(x + j + VL), odd);
  }
  const float *rest = x + j;
  FOR_VECTORS(size - j, { even = larger(GET(rest, -__builtin_inff()), even); });
  return max_lanes(larger(even, odd));
}

/* Where the largest of x [V] stands; in a row of NaN, the last place. */
static int64_t cross_entropy_top(const float *x, int64_t V) {
  float max = -__builtin_inff();
  int64_t top = 0;
  for (int64_t j = 0; j < V; j += CROSS_ENTROPY_BLOCK) {
    const float best = cross_entropy_max(x + j, MIN(CROSS_ENTROPY_BLOCK, V - j));
    if (best > max) max = best, top = j;
  }
  while (top < V - 1 && x[top] != max) top++;
  return top;
}

/* The sum of exp(x - max); with `keep` the terms take the place of x. */
INLINE float cross_entropy_sum(float *x, int64_t V, float max, int keep) {
  vf sum = splat(0);
  FOR_VECTORS(V, {
    vf term = exp_lanes(GET(x, -__builtin_inff()) - max);
    if (keep) PUT(x, term);
    sum += term;
  });
  return sum_lanes(sum);
}

/* The largest term, 1, stays out of the sum of the others: where the model is certain, 1 + others would round away the
 * loss, and p - 1 the gradient of the target. */
static float cross_entropy_row(float *x, int64_t target, int64_t V, int hasScale, float scale) {
  if (target < 0) {
    if (hasScale) FOR_VECTORS(V, { PUT(x, splat(0)); });
    return 0;
  }
  const int64_t top = cross_entropy_top(x, V);
  const float max = x[top], logit = x[target], one = max - max + 1; /* NaN for an infinite or NaN logit */
  x[top] = -__builtin_inff();
  const float others = hasScale ? cross_entropy_sum(x, V, max, 1) : cross_entropy_sum(x, V, max, 0);
  const double sum = (double)one + (double)others;
  if (hasScale) {
    const float factor = (float)(scale / sum);
    x[top] = one;
    FOR_VECTORS(V, { PUT(x, GET(x, 0) * factor); });
    x[target] = target == top ? -others * factor : x[target] - scale;
  } else {
    x[top] = max;
  }
  return (float)(log_of(sum) + ((double)max - (double)logit));
}

static void softmax_cross_entropy(const double *args, work w) {
  float *logits = PF(0), *losses = PF(2);
  const int32_t *targets = PI(1);
  const int64_t N = INT(3), V = INT(4);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++)
    losses[r] = cross_entropy_row(logits + r * V, targets[r], V, args[5] != 0, FLT(6));
}
