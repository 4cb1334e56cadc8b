/* The gated feed-forward activation: out = act(gate) * up, gateUp [N, 2 H] = gate | up.
 *
 * relu2: relu(g)^2 u; relu: relu(g) u; silu: g sigmoid(g) u. A gate is closed where g <= 0: then the result is +0 and
 * both gradients are +0 by a mask, whatever u and dOut hold, because these zeros are what the sparse products skip. A
 * NaN gate is not closed: it must be seen.
 *
 * glu:          gateUp, out, N, H, activation                    (activation 0 relu2, 1 relu, 2 silu)   rows are shared
 * glu_backward: gateUp, dOut, dGateUp, N, H, activation, l1                                             rows are shared
 */
#include "vector_math.h"

enum { GLU_RELU2, GLU_RELU, GLU_SILU };

INLINE vf glu_sigmoid(vf x) { return 1.0f / (1.0f + exp_lanes(-x)); }

INLINE vf glu_sign(vf x) { return (vf)(((x > 0.0f) | (x < 0.0f)) & ((vi)splat(1) | ((vi)x & (int32_t)0x80000000))); }

/* One row; `activation` is a constant at each call, so that the choices leave the loop. */
INLINE void glu_row(const float *gate, const float *up, float *out, int64_t H, int activation) {
  FOR_VECTORS(H, {
    vf g = GET(gate, 0), u = GET(up, 0);
    if (activation == GLU_SILU) PUT(out, g * glu_sigmoid(g) * u);
    else PUT(out, where(~(g <= 0.0f), activation == GLU_RELU2 ? g * g * u : g * u));
  });
}

static void glu(const double *args, work w) {
  const float *gateUp = PF(0);
  float *out = PF(1);
  const int64_t N = INT(2), H = INT(3), activation = INT(4);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *gate = gateUp + r * 2 * H;
    if (activation == GLU_RELU2) glu_row(gate, gate + H, out + r * H, H, GLU_RELU2);
    else if (activation == GLU_RELU) glu_row(gate, gate + H, out + r * H, H, GLU_RELU);
    else glu_row(gate, gate + H, out + r * H, H, GLU_SILU);
  }
}

INLINE void glu_backward_row(const float *gate, const float *dOut, float *dGate, int64_t H, int activation, float l1) {
  const float *up = gate + H;
  float *dUp = dGate + H;
  FOR_VECTORS(H, {
    vf g = GET(gate, 0), u = GET(up, 0), d = GET(dOut, 0);
    if (activation == GLU_SILU) {
      vf sigmoid = glu_sigmoid(g), act = g * sigmoid;
      d += glu_sign(act * u) * l1;
      PUT(dGate, d * u * (sigmoid * (1.0f + g * (1.0f - sigmoid))));
      PUT(dUp, d * act);
    } else {
      vi open = ~(g <= 0.0f);
      vf act = activation == GLU_RELU2 ? g * g : g;
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
  const float l1 = FLT(6);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const float *gate = gateUp + r * 2 * H, *d = dOut + r * H;
    float *to = dGateUp + r * 2 * H;
    if (activation == GLU_RELU2) glu_backward_row(gate, d, to, H, GLU_RELU2, l1);
    else if (activation == GLU_RELU) glu_backward_row(gate, d, to, H, GLU_RELU, l1);
    else glu_backward_row(gate, d, to, H, GLU_SILU, l1);
  }
}
