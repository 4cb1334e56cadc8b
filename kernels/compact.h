/* Counting and listing elements of a row: those whose magnitude reaches a threshold (selection, natural zeros), or those that
 * are open gates, x > 0 or NaN; and finding a column in such a list.
 *
 * A magnitude is the bits of |x| as an int32: they order like the values, -0 is 0, and NaN lies above infinity. The
 * list is written with a vector compaction where the instruction set has one; a store of a whole vector may write past the
 * last hit, never past `limit`, which another part may be writing.
 */
#ifndef QSPARSE_COMPACT_H
#define QSPARSE_COMPACT_H

#include "kernel.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define MAGNITUDE 0x7fffffff

INLINE int32_t magnitude(float x) {
  union { float f; int32_t i; } u = {.f = x};
  return u.i & MAGNITUDE;
}

/* How many of x [size] have a magnitude of at least `threshold`. */
INLINE int64_t count_reaching(const float *x, int64_t size, int32_t threshold) {
  const vi t = threshold - (vi){0}, m = MAGNITUDE - (vi){0};
  vi c0 = {0}, c1 = {0}, c2 = {0}, c3 = {0};
  int64_t i = 0, count = 0;
  for (; i + 4 * VL <= size; i += 4 * VL) {
    const viu *v = (const viu *)(x + i);
    c0 -= ((vi)v[0] & m) >= t;
    c1 -= ((vi)v[1] & m) >= t;
    c2 -= ((vi)v[2] & m) >= t;
    c3 -= ((vi)v[3] & m) >= t;
  }
  c0 += c1 + c2 + c3;
  for (int j = 0; j < VL; j++) count += c0[j];
  for (; i < size; i++) count += magnitude(x[i]) >= threshold;
  return count;
}

/* How many of x [size] are open gates: a NaN is open, it must be seen. */
INLINE int64_t count_open(const float *x, int64_t size) {
  vi c0 = {0}, c1 = {0};
  int64_t i = 0, count = 0;
  for (; i + 2 * VL <= size; i += 2 * VL) {
    c0 -= ~(load(x + i) <= 0.0f);
    c1 -= ~(load(x + i + VL) <= 0.0f);
  }
  c0 += c1;
  for (int j = 0; j < VL; j++) count += c0[j];
  for (; i < size; i++) count += !(x[i] <= 0);
  return count;
}

/* The threshold of list_elements that stands for open gates. */
#define OPEN_GATES 0

/* Appends the elements of x [size] that reach `threshold` (above 0), or the open gates, to index and value from position `at` on;
 * returns the new position. There are exactly `limit - at` of them. */
INLINE int64_t list_elements(const float *x, int64_t size, int32_t threshold, int32_t *index, float *value, int64_t at,
                             int64_t limit) {
  int64_t i = 0;
#if defined(__AVX512F__)
  const __m512i t = _mm512_set1_epi32(threshold), m = _mm512_set1_epi32(MAGNITUDE);
  __m512i columns = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; i + 16 <= size && at + 16 <= limit; i += 16) {
    const __m512i bits = _mm512_loadu_si512(x + i);
    const __mmask16 hit = threshold == OPEN_GATES
                              ? _mm512_cmp_ps_mask(_mm512_castsi512_ps(bits), _mm512_setzero_ps(), _CMP_NLE_UQ)
                              : _mm512_cmpge_epi32_mask(_mm512_and_si512(bits, m), t);
    _mm512_storeu_si512(index + at, _mm512_maskz_compress_epi32(hit, columns));
    _mm512_storeu_si512(value + at, _mm512_maskz_compress_epi32(hit, bits));
    columns = _mm512_add_epi32(columns, _mm512_set1_epi32(16));
    at += __builtin_popcount(hit);
  }
#elif defined(__AVX2__)
  const __m256i t = _mm256_set1_epi32(threshold - 1), m = _mm256_set1_epi32(MAGNITUDE);
  __m256i columns = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  for (; i + 8 <= size && at + 8 <= limit; i += 8) {
    const __m256i bits = _mm256_loadu_si256((const __m256i *)(x + i));
    const __m256 hits = threshold == OPEN_GATES
                            ? _mm256_cmp_ps(_mm256_castsi256_ps(bits), _mm256_setzero_ps(), _CMP_NLE_UQ)
                            : _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_and_si256(bits, m), t));
    const unsigned hit = (unsigned)_mm256_movemask_ps(hits);
    /* The numbers of the hit lanes, packed to the front: 0x0706..00 with the bytes of the other lanes squeezed out. */
    const uint64_t lanes = _pext_u64(0x0706050403020100, _pdep_u64(hit, 0x0101010101010101) * 0xff);
    const __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)lanes));
    _mm256_storeu_si256((__m256i *)(index + at), _mm256_permutevar8x32_epi32(columns, order));
    _mm256_storeu_si256((__m256i *)(value + at), _mm256_permutevar8x32_epi32(bits, order));
    columns = _mm256_add_epi32(columns, _mm256_set1_epi32(8));
    at += __builtin_popcount(hit);
  }
#else
  for (; i < size && at < limit; i++) {
    index[at] = (int32_t)i;
    value[at] = x[i];
    at += threshold == OPEN_GATES ? !(x[i] <= 0) : magnitude(x[i]) >= threshold;
  }
#endif
  for (; i < size && at < limit; i++) {
    if (threshold == OPEN_GATES ? x[i] <= 0 : magnitude(x[i]) < threshold) continue;
    index[at] = (int32_t)i;
    value[at++] = x[i];
  }
  return at;
}

/* The first element of a row's list at or behind column c. */
INLINE int64_t rows_seek(const int32_t *index, int64_t low, int64_t high, int64_t c) {
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (index[middle] < c) low = middle + 1;
    else high = middle;
  }
  return low;
}

#endif
