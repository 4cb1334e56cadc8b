/* AdamW as in adamw.c, with both moments in 8 bits: codes and the scale of each 256 of them (src/tensor/block-moments.ts says what they stand for).
 *
 * A block is decoded, updated and encoded while it is in the cache, so that 10 bytes are read and written for a parameter instead of 16. A code is the
 * upper bits of an f32: random bits added below them and cut off round it up or down by chance. Magnitudes are compared as integers, which order as the
 * floats do, because compilers make vectors of that.
 *
 * adamw8: p, g, mCodes, mScale, vCodes, vScale, size, lr, beta1, beta2, eps, weightDecay, biasCorrection1, biasCorrection2, gradientScale, step
 *         biasCorrection = 1 - beta^step                                                 blocks are shared
 */
#include "chance.h"

#define MOMENT_BLOCK 256
#define MANTISSA_SHIFT 20
#define SIGNED_EXPONENT 112u
#define POSITIVE_EXPONENT 96u
#define LARGEST_MOMENT 1.875f
#define SMALLEST_MOMENT_BLOCK 1e-36f

typedef union {
  float value;
  uint32_t bits;
} moment_bits;

INLINE float float_of(uint32_t bits) { return ((moment_bits){.bits = bits}).value; }
INLINE uint32_t bits_of(float value) { return ((moment_bits){.value = value}).bits; }

INLINE float signed_moment(uint32_t code) {
  const uint32_t magnitude = code & 127;
  const uint32_t bits = (magnitude << MANTISSA_SHIFT) + (SIGNED_EXPONENT << 23);
  return float_of(magnitude == 0 ? 0 : bits | (code & 128) << 24);
}

INLINE float positive_moment(uint32_t code) {
  return float_of(code == 0 ? 0 : (code << MANTISSA_SHIFT) + (POSITIVE_EXPONENT << 23));
}

/* `chance` has 16 bits. */
INLINE uint32_t code_of(uint32_t magnitudeBits, uint32_t firstExponent, uint32_t chance) {
  const uint32_t code = (magnitudeBits + (chance << (MANTISSA_SHIFT - 16))) >> MANTISSA_SHIFT;
  return code < firstExponent << 3 ? 0 : code - (firstExponent << 3);
}

INLINE float scale_of(uint32_t largestBits) {
  const float largest = float_of(largestBits);
  return largest < SMALLEST_MOMENT_BLOCK ? 0 : largest / LARGEST_MOMENT;
}

/* Moves the parameters of one block; the moments after it go to mean and square, their largest magnitudes to `largest`. */
NOINLINE void adamw8_update(float *restrict p, float *restrict g, const uint8_t *restrict m, const uint8_t *restrict v,
                            float mScale, float vScale, int64_t count, adamw_step s, float *restrict mean,
                            float *restrict square, uint32_t *largest) {
  uint32_t largestMean = 0, largestSquare = 0;
  for (int64_t i = 0; i < count; i++) {
    const float gradient = g[i] * s.gradientScale;
    const float newMean = signed_moment(m[i]) * mScale * s.beta1 + gradient * s.oneMinusBeta1;
    const float newSquare = positive_moment(v[i]) * vScale * s.beta2 + gradient * gradient * s.oneMinusBeta2;
    p[i] = p[i] * s.decay - s.stepSize * (newMean / (__builtin_sqrtf(newSquare) / s.rootOfCorrection2 + s.eps));
    g[i] = 0;
    mean[i] = newMean;
    square[i] = newSquare;
    const uint32_t meanBits = bits_of(newMean) & 0x7fffffffu, squareBits = bits_of(newSquare);
    largestMean = MAX(largestMean, meanBits);
    largestSquare = MAX(largestSquare, squareBits);
  }
  largest[0] = largestMean;
  largest[1] = largestSquare;
}

NOINLINE void adamw8_encode(const float *restrict mean, const float *restrict square, float mScale, float vScale,
                            uint8_t *restrict m, uint8_t *restrict v, int64_t first, int64_t count, uint32_t step) {
  const float toMean = mScale == 0 ? 0 : 1 / mScale, toSquare = vScale == 0 ? 0 : 1 / vScale;
  for (int64_t i = 0; i < count; i++) {
    const uint32_t chance = chance_of((uint32_t)(first + i), step);
    const uint32_t meanBits = bits_of(mean[i] * toMean), squareBits = bits_of(square[i] * toSquare);
    const uint32_t magnitude = MIN(127u, code_of(meanBits & 0x7fffffffu, SIGNED_EXPONENT, chance & 0xffff));
    m[i] = (uint8_t)(magnitude == 0 ? 0 : magnitude | (meanBits >> 31) << 7);
    const uint32_t code = MIN(255u, code_of(squareBits, POSITIVE_EXPONENT, chance >> 16));
    v[i] = (uint8_t)(squareBits == 0 ? 0 : MAX(1u, code));
  }
}

static void adamw8(const double *args, work w) {
  const adamw_step step = adamw_step_of(args + 7);
  const int64_t size = INT(6);
  int64_t firstBlock, lastBlock;
  share((size + MOMENT_BLOCK - 1) / MOMENT_BLOCK, 1, w, &firstBlock, &lastBlock);
  for (int64_t block = firstBlock; block < lastBlock; block++) {
    const int64_t first = block * MOMENT_BLOCK, count = MIN(size - first, MOMENT_BLOCK);
    uint8_t *m = (uint8_t *)PF(2) + first, *v = (uint8_t *)PF(4) + first;
    float *mScale = PF(3) + block, *vScale = PF(5) + block;
    float mean[MOMENT_BLOCK], square[MOMENT_BLOCK];
    uint32_t largest[2];
    adamw8_update(PF(0) + first, PF(1) + first, m, v, *mScale, *vScale, count, step, mean, square, largest);
    *mScale = scale_of(largest[0]);
    *vScale = scale_of(largest[1]);
    adamw8_encode(mean, square, *mScale, *vScale, m, v, first, count, (uint32_t)INT(15));
  }
}
