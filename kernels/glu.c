/* The gated feed-forward activation: out = act(gate) * up, gateUp [N, 2 H] = gate | up.
 *
 * relu2: relu(g)^2 u; relu: relu(g) u; silu: g sigmoid(g) u. A gate is closed where g <= 0: then the result is +0 and
 * both gradients are +0 by a mask, whatever u and dOut hold, because these zeros are what the sparse products skip. A
 * NaN gate is not closed: it must be seen. With a threshold above 0 a gate is closed as well where |act(gate)| is below it.
 *
 * Behind ReLU gates there is also a form that touches open gates only: the list of open gates with their values, and the values
 * of up, hidden and their gradients in the order of that list. `gate`, `index` and `start` are that list.
 *
 * glu:          gateUp, out, N, H, activation, threshold         (activation 0 relu2, 1 relu, 2 silu)   rows are shared
 * glu_backward: gateUp, dOut, dGateUp, N, H, activation, l1, threshold                                  rows are shared
 * count_open_gates:  gates, start, N, H, stride                  `stride` from one row of gates to the next, rows are shared
 * gather_open_gates: gates, start, index, value, N, H, stride                                           rows are shared
 * glu_rows:          gate, up, out, count, activation                                                   elements are shared
 * glu_rows_backward: start, index, gate, up, dOut, outStart, outIndex, outValue, N, H, activation, l1   rows are shared
 */
#include "compact.h"
#include "vector_math.h"

enum { GLU_RELU2, GLU_RELU, GLU_SILU };

INLINE vf glu_sigmoid(vf x) { return 1.0f / (1.0f + exp_lanes(-x)); }

INLINE vf glu_sign(vf x) { return (vf)(((x > 0.0f) | (x < 0.0f)) & ((vi)splat(1) | ((vi)x & (int32_t)0x80000000))); }

/* Where an activation is not below the threshold; NaN is not. */
INLINE vi glu_reaches(vf act, float threshold) { return ~((vf)((vi)act & MAGNITUDE) < threshold); }

/* One row; `activation` is a constant at each call, so that the choices leave the loop. */
INLINE void glu_row(const float *gate, const float *up, float *out, int64_t H, int activation, float threshold) {
  FOR_VECTORS(H, {
    vf g = GET(gate, 0), u = GET(up, 0);
    vf act = activation == GLU_SILU ? g * glu_sigmoid(g) : activation == GLU_RELU2 ? g * g : g;
    vi open = glu_reaches(act, threshold);
    if (activation != GLU_SILU) open &= ~(g <= 0.0f);
    PUT(out, where(open, act * u));
  });
}

static void glu(const double *args, work w) {
  const float *gateUp = PF(0);
  float *out = PF(1);
  const int64_t N = INT(2), H = INT(3), activation = INT(4);
  const float threshold = FLT(5);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *gate = gateUp + r * 2 * H;
    if (activation == GLU_RELU2) glu_row(gate, gate + H, out + r * H, H, GLU_RELU2, threshold);
    else if (activation == GLU_RELU) glu_row(gate, gate + H, out + r * H, H, GLU_RELU, threshold);
    else glu_row(gate, gate + H, out + r * H, H, GLU_SILU, threshold);
  }
}

INLINE void glu_backward_row(const float *gate, const float *dOut, float *dGate, int64_t H, int activation, float l1,
                             float threshold) {
  const float *up = gate + H;
  float *dUp = dGate + H;
  FOR_VECTORS(H, {
    vf g = GET(gate, 0), u = GET(up, 0), d = GET(dOut, 0);
    if (activation == GLU_SILU) {
      vf sigmoid = glu_sigmoid(g), act = g * sigmoid;
      d += glu_sign(act * u) * l1;
      vi open = glu_reaches(act, threshold);
      PUT(dGate, where(open, d * u * (sigmoid * (1.0f + g * (1.0f - sigmoid)))));
      PUT(dUp, where(open, d * act));
    } else {
      vf act = activation == GLU_RELU2 ? g * g : g;
      vi open = ~(g <= 0.0f) & glu_reaches(act, threshold);
      d += glu_sign(act * u) * l1;
      PUT(dGate, where(open, activation == GLU_RELU2 ? d * u * (g + g) : d * u));
      PUT(dUp, where(open, d * act));
    }
  });
}

static void glu_backward(const double *args, work w) {
  const float *gateUp = PF(0), *dOut = PF(1);
  float *dGateUp = PF(2);
  const int64_t N = INT(3), H = INT(4), activation = INT(5);
  const float l1 = FLT(6), threshold = FLT(7);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *gate = gateUp + r * 2 * H, *d = dOut + r * H;
    float *to = dGateUp + r * 2 * H;
    if (activation == GLU_RELU2) glu_backward_row(gate, d, to, H, GLU_RELU2, l1, threshold);
    else if (activation == GLU_RELU) glu_backward_row(gate, d, to, H, GLU_RELU, l1, threshold);
    else glu_backward_row(gate, d, to, H, GLU_SILU, l1, threshold);
  }
}

static void count_open_gates(const double *args, work w) {
  int32_t *start = PI(1);
  int64_t first, last;
  share(INT(2), 1, w, &first, &last);
  if (w.part == 0) start[0] = 0;
  for (int64_t r = first; r < last; r++) start[r + 1] = (int32_t)count_open(PF(0) + r * INT(4), INT(3));
}

static void gather_open_gates(const double *args, work w) {
  const int32_t *start = PI(1);
  int64_t first, last;
  share(INT(4), 1, w, &first, &last);
  for (int64_t r = first; r < last; r++)
    list_elements(PF(0) + r * INT(6), INT(5), OPEN_GATES, PI(2), PF(3), start[r], start[r + 1]);
}

static void glu_rows(const double *args, work w) {
  int64_t first, last;
  share(INT(3), 16, w, &first, &last);
  const float *gate = PF(0) + first, *up = PF(1) + first;
  float *out = PF(2) + first;
  if (INT(4) == GLU_RELU2) FOR_VECTORS(last - first, { PUT(out, GET(gate, 0) * GET(gate, 0) * GET(up, 0)); });
  else FOR_VECTORS(last - first, { PUT(out, GET(gate, 0) * GET(up, 0)); });
}

/* A row's gradients: those of its gates, then those of up behind the same gates. */
static void glu_rows_backward(const double *args, work w) {
  const int32_t *start = PI(0), *index = PI(1);
  int32_t *outStart = PI(5), *outIndex = PI(6);
  const int64_t N = INT(8), H = INT(9);
  const int squared = INT(10) == GLU_RELU2;
  const float l1 = FLT(11);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  if (w.part == 0) outStart[0] = 0;
  for (int64_t r = first; r < last; r++) {
    const int64_t at = start[r], count = start[r + 1] - at;
    const float *gate = PF(2) + at, *up = PF(3) + at, *dOut = PF(4) + at;
    float *dGate = PF(7) + 2 * at, *dUp = dGate + count;
    outStart[r + 1] = 2 * start[r + 1];
    for (int64_t i = 0; i < count; i++) {
      outIndex[2 * at + i] = index[at + i];
      outIndex[2 * at + count + i] = (int32_t)(index[at + i] + H);
    }
    FOR_VECTORS(count, {
      const vf g = GET(gate, 0), u = GET(up, 0), act = squared ? g * g : g;
      const vf d = GET(dOut, 0) + glu_sign(act * u) * l1;
      PUT(dGate, squared ? d * u * (g + g) : d * u);
      PUT(dUp, d * act);
    });
  }
}
