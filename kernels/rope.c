/* Rotary position embedding, in place (Su et al., arXiv 2104.09864; Hugging Face's order of the features).
 *
 * Feature i of a head turns with feature i + headDim / 2 by the angle of cos, sin [all positions, headDim / 2] at the row's own
 * position; the backward is the rotation by the negative angle.
 *
 * rope: x, positions, cos, sin, rows, width, nRotatedHeads, headDim, inverse       rows are shared
 */
#include "vector_math.h"

static void rope_head(float *x, const float *cos, const float *sin, int64_t half, float sign) {
  float *a = x, *b = x + half;
  FOR_VECTORS(half, {
    vf c = GET(cos, 0), s = GET(sin, 0) * sign;
    vf low = GET(a, 0), high = GET(b, 0);
    PUT(a, low * c - high * s);
    PUT(b, high * c + low * s);
  });
}

static void rope(const double *args, work w) {
  float *x = PF(0);
  const int32_t *positions = PI(1);
  const float *cos = PF(2), *sin = PF(3);
  const int64_t rows = INT(4), width = INT(5), heads = INT(6), headDim = INT(7);
  const float sign = args[8] != 0 ? -1.0f : 1.0f;
  const int64_t half = headDim / 2;
  int64_t first, last;
  share(rows, 1, w, &first, &last);
  for (int64_t r = first; r < last; r++) {
    const int64_t position = positions[r];
    for (int64_t h = 0; h < heads; h++)
      rope_head(x + r * width + h * headDim, cos + position * half, sin + position * half, half, sign);
  }
}
