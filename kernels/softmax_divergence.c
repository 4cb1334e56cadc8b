/* Kullback-Leibler divergence of a teacher's softmax from a student's, both at a temperature, with its gradient in place of the teacher's logits.
 *
 * With a = (teacher - max) / T and b = (logit - max) / T, p = e^a / A and q = e^b / B:
 * divergence = T^2 (sum of p (a - b) - log A + log B), nats; its gradient with respect to the logits is T (q - p). T^2 keeps the size of the gradient
 * whatever the temperature is (Hinton et al., arXiv 1503.02531). A row whose target is -1 has divergence 0 and gradient 0.
 *
 * softmax_divergence: logits, teacher, targets, divergences, N, V, temperature, hasScale, scale     rows are shared
 */
#include "vector_math.h"

/* Behind the end of a row: so far below the largest that its exponential is 0, and finite, so that 0 times it is. */
#define NEGLIGIBLE 200.0f

/* The sums e^a, e^b and e^a (a - b) of a row; e^a takes the place of the teacher's logits with `keep`. */
INLINE void divergence_sums(const float *x, float *teacher, int64_t V, float temperature, int keep, float *maxOfX,
                            float *sums) {
  const float max = cross_entropy_max(x, V), teacherMax = cross_entropy_max(teacher, V), inverse = 1 / temperature;
  const float rest = max - NEGLIGIBLE * temperature, teacherRest = teacherMax - NEGLIGIBLE * temperature;
  vf ofTeacher = splat(0), ofStudent = splat(0), mixed = splat(0);
  FOR_VECTORS(V, {
    const vf a = (GET(teacher, teacherRest) - teacherMax) * inverse;
    const vf b = (GET(x, rest) - max) * inverse;
    const vf term = exp_lanes(a);
    ofTeacher += term;
    ofStudent += exp_lanes(b);
    mixed += term * (a - b);
    if (keep) PUT(teacher, term);
  });
  *maxOfX = max;
  sums[0] = sum_lanes(ofTeacher);
  sums[1] = sum_lanes(ofStudent);
  sums[2] = sum_lanes(mixed);
}

static float divergence_row(const float *x, float *teacher, int64_t target, int64_t V, float temperature, int hasScale,
                            float scale) {
  if (target < 0) {
    if (hasScale) FOR_VECTORS(V, { PUT(teacher, splat(0)); });
    return 0;
  }
  float max, sums[3];
  if (hasScale) divergence_sums(x, teacher, V, temperature, 1, &max, sums);
  else divergence_sums(x, teacher, V, temperature, 0, &max, sums);
  if (hasScale) {
    const float inverse = 1 / temperature;
    const float ofTeacher = scale * temperature / sums[0], ofStudent = scale * temperature / sums[1];
    FOR_VECTORS(V, {
      const vf term = exp_lanes((GET(x, 0) - max) * inverse);
      PUT(teacher, term * ofStudent - GET(teacher, 0) * ofTeacher);
    });
  }
  const double divergence = (double)sums[2] / sums[0] - log_of(sums[0]) + log_of(sums[1]);
  return (float)((double)temperature * temperature * divergence);
}

static void softmax_divergence(const double *args, work w) {
  const float *logits = PF(0);
  float *teacher = PF(1), *divergences = PF(3);
  const int32_t *targets = PI(2);
  const int64_t N = INT(4), V = INT(5);
  int64_t first, last;
  share(N, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++)
    divergences[r] = divergence_row(logits + r * V, teacher + r * V, targets[r], V, FLT(6), args[7] != 0, FLT(8));
}
