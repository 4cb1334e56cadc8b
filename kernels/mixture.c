/* Mixture of experts: the choice of experts for each token with its gradient, rows of a list by token, and the sum of the outputs.
 *
 * Between gather_rows_counts and gather_rows_fill, `prefix_sum` turns counts into starts.
 *
 * route_tokens: logits, start, index, value, logSumExp, N, E, kept               logits become probabilities; rows are shared
 * route_tokens_backward: probabilities, start, index, value, logSumExp, dShare, balance, dLogits, N, E, zScale
 * gather_rows_counts: start, ids, outStart, M                                    outStart[r + 1] = elements of row ids[r]
 * gather_rows_fill: start, index, value, ids, outStart, outIndex, outValue, M
 * add_rows_at: x, scale, ids, out, M, D   (out +=)                               columns are shared: equal ids meet in one part
 */
#include "vector_math.h"

/* A float as an integer of the same order: -0 like 0, NaN above everything. */
INLINE int32_t route_order(float x) {
  if (x != x) return INT32_MAX;
  const float positiveZero = x + 0.0f;
  int32_t bits;
  __builtin_memcpy(&bits, &positiveZero, 4);
  return bits < 0 ? bits ^ INT32_MAX : bits;
}

/* The expert that comes next behind (order, expert) in the ranking: larger logits first, of equal ones the lower index. */
INLINE int64_t route_next(const float *logits, int64_t E, int64_t order, int64_t expert) {
  int64_t best = -1, bestOrder = 0;
  for (int64_t e = 0; e < E; e++) {
    const int64_t own = route_order(logits[e]);
    const int isBehind = own < order || (own == order && e > expert);
    if (isBehind && (best < 0 || own > bestOrder)) {
      best = e;
      bestOrder = own;
    }
  }
  return best;
}

/* Experts are few and fewer are chosen: one pass for each finds the last that is in. */
static void route_choose(const float *logits, int64_t E, int64_t kept, int32_t *index) {
  int64_t last = -1, order = (int64_t)INT32_MAX + 1;
  for (int64_t i = 0; i < kept; i++) {
    last = route_next(logits, E, order, last);
    order = route_order(logits[last]);
  }
  for (int64_t e = 0; e < E; e++) {
    const int64_t own = route_order(logits[e]);
    if (own > order || (own == order && e <= last)) *index++ = (int32_t)e;
  }
}

/* x [E] = softmax of x; log of the sum of exponentials. */
static float route_softmax(float *x, int64_t E) {
  float max = -__builtin_inff();
  for (int64_t e = 0; e < E; e++) max = x[e] > max ? x[e] : max;
  vf sums = splat(0);
  FOR_VECTORS(E, {
    const vf term = exp_lanes(GET(x, -__builtin_inff()) - max);
    PUT(x, term);
    sums += term;
  });
  const float sum = sum_lanes(sums);
  FOR_VECTORS(E, { PUT(x, GET(x, 0) / sum); });
  return (float)(log_of(sum) + (double)max);
}

static void route_tokens(const double *args, work w) {
  int32_t *start = PI(1);
  const int64_t E = INT(6), kept = INT(7);
  int64_t first, last;
  share(INT(5), 1, w, &first, &last);
  if (w.part == 0) start[0] = 0;
  for (int64_t r = first; r < last; r++) {
    float *row = PF(0) + r * E, *value = PF(3) + r * kept;
    int32_t *index = PI(2) + r * kept;
    start[r + 1] = (int32_t)((r + 1) * kept);
    route_choose(row, E, kept, index);
    PF(4)[r] = route_softmax(row, E);
    float sum = 0;
    for (int64_t i = 0; i < kept; i++) sum += row[index[i]];
    for (int64_t i = 0; i < kept; i++) value[i] = row[index[i]] / sum;
  }
}

static void route_tokens_backward(const double *args, work w) {
  const int32_t *start = PI(1), *index = PI(2);
  const float *shares = PF(3), *dShare = PF(5), *balance = PF(6);
  const int64_t E = INT(9);
  int64_t first, last;
  share(INT(8), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *p = PF(0) + r * E;
    float *out = PF(7) + r * E;
    double meanBalance = 0, meanShare = 0;
    for (int64_t e = 0; e < E; e++) meanBalance += (double)p[e] * balance[e];
    for (int64_t i = start[r]; i < start[r + 1]; i++) meanShare += (double)shares[i] * dShare[i];
    const double ofAll = 2 * args[10] * PF(4)[r] - meanBalance;
    for (int64_t e = 0; e < E; e++) out[e] = (float)(p[e] * (balance[e] + ofAll));
    for (int64_t i = start[r]; i < start[r + 1]; i++) out[index[i]] += (float)(shares[i] * (dShare[i] - meanShare));
  }
}

static void gather_rows_counts(const double *args, work w) {
  const int32_t *start = PI(0), *ids = PI(1);
  int32_t *outStart = PI(2);
  int64_t first, last;
  share(INT(3), 16, w, &first, &last);
  if (w.part == 0) outStart[0] = 0;
  for (int64_t r = first; r < last; r++) outStart[r + 1] = start[ids[r] + 1] - start[ids[r]];
}

static void gather_rows_fill(const double *args, work w) {
  const int32_t *start = PI(0), *ids = PI(3), *outStart = PI(4);
  int64_t first, last;
  share(INT(7), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t from = start[ids[r]], to = outStart[r], count = outStart[r + 1] - outStart[r];
    __builtin_memcpy(PI(5) + to, PI(1) + from, 4 * count);
    __builtin_memcpy(PF(6) + to, PF(2) + from, 4 * count);
  }
}

static void add_rows_at(const double *args, work w) {
  const float *scale = PF(1);
  const int32_t *ids = PI(2);
  const int64_t M = INT(4), D = INT(5);
  int64_t first, last;
  share(D, 16, w, &first, &last);
  for (int64_t r = 0; r < M; r++) {
    const float *from = PF(0) + r * D + first;
    float *to = PF(3) + (int64_t)ids[r] * D + first;
    const vf factor = splat(scale[r]);
    FOR_VECTORS(last - first, { PUT(to, GET(to, 0) + factor * GET(from, 0)); });
  }
}
