/* AdamW with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), in PyTorch's order of operations.
 *
 * One pass: 16 bytes are read and 16 written for each parameter, and the gradient is left at 0 for the next step.
 *
 * adamw: p, g, m, v, size, lr, beta1, beta2, eps, weightDecay, biasCorrection1, biasCorrection2, gradientScale
 *        biasCorrection = 1 - beta^step                                               elements are shared
 */
#include "vector_math.h"

typedef struct {
  float decay, stepSize, beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, rootOfCorrection2, gradientScale;
} adamw_step;

/* A plain loop: compilers vectorise it, and sqrt has no vector operator. */
static void adamw_update(float *restrict p, float *restrict g, float *restrict m, float *restrict v, int64_t size,
                         adamw_step s) {
  for (int64_t i = 0; i < size; i++) {
    const float gradient = g[i] * s.gradientScale;
    const float mean = m[i] * s.beta1 + gradient * s.oneMinusBeta1;
    const float square = v[i] * s.beta2 + gradient * gradient * s.oneMinusBeta2;
    p[i] = p[i] * s.decay - s.stepSize * (mean / (__builtin_sqrtf(square) / s.rootOfCorrection2 + s.eps));
    m[i] = mean;
    v[i] = square;
    g[i] = 0;
  }
}

/* Of the slots lr .. gradientScale. */
INLINE adamw_step adamw_step_of(const double *args) {
  const double lr = args[0], beta1 = args[1], beta2 = args[2];
  return (adamw_step){
      .decay = (float)(1 - lr * args[4]),
      .stepSize = (float)(lr / args[5]),
      .beta1 = (float)beta1,
      .oneMinusBeta1 = (float)(1 - beta1),
      .beta2 = (float)beta2,
      .oneMinusBeta2 = (float)(1 - beta2),
      .eps = FLT(3),
      .rootOfCorrection2 = (float)__builtin_sqrt(args[6]),
      .gradientScale = FLT(7),
  };
}

static void adamw(const double *args, work w) {
  const adamw_step step = adamw_step_of(args + 5);
  int64_t first, last;
  share(INT(4), 16, w, &first, &last);
  adamw_update(PF(0) + first, PF(1) + first, PF(2) + first, PF(3) + first, last - first, step);
}
