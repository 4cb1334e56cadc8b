/* select_block_top_k: the `kept` largest |x| of each block of `blockSize` consecutive features, ties to the lower index, listed in ascending
 * order of the index: every block has the same count. Places inside the blocks are written as bytes too.
 *
 * Blocks of 32 stand across the lanes of VL registers of 32: a sorting network (Green's, 60 exchanges, on each 16) and a merge find the
 * kept-th magnitude of VL blocks at once, without a branch. What reaches it is listed; where more do, it is a tie, and the block is ranked:
 * the rank of an element is the number of those that come before it, all comparisons made. That the lower index wins costs nothing there:
 * "not below" is "above one less" in whole numbers. Larger and odd blocks are rows of select_top_k.
 * Source: Q-Sparse (arXiv 2407.10969), Block Q-Sparse (N:M); the network: Knuth, The Art of Computer Programming 3, 5.3.4.
 *
 * select_block_top_k: x, start, index, value, place, N, D, kept, blockSize                    blocks are shared
 */
#include "top_k.c"
#include "transpose_block.h"

#define BK_SORTED 32
#define BK_RANKED 64 /* comparisons grow with the square */

INLINE vi bk_max(vi a, vi b) {
#if VL == 16
  return (vi)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif VL == 8
  return (vi)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
  const vi more = a > b;
  return (a & more) | (b & ~more);
#endif
}

INLINE vi bk_min(vi a, vi b) {
#if VL == 16
  return (vi)_mm512_min_epi32((__m512i)a, (__m512i)b);
#elif VL == 8
  return (vi)_mm256_min_epi32((__m256i)a, (__m256i)b);
#else
  const vi more = a > b;
  return (b & more) | (a & ~more);
#endif
}

/* The magnitudes of 16 rows of lanes, the largest first: sorted [1 .. 16]. */
INLINE void bk_sort(const vi *x, vi *sorted) {
  vi v[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) v[i] = x[i] & MAGNITUDE;
#define SORT(a, b) \
  { \
    const vi low = bk_min(v[a], v[b]); \
    v[b] = bk_max(v[a], v[b]); \
    v[a] = low; \
  }
  SORT(0, 13) SORT(1, 12) SORT(2, 15) SORT(3, 14) SORT(4, 8) SORT(5, 6) SORT(7, 11) SORT(9, 10)
  SORT(0, 5) SORT(1, 7) SORT(2, 9) SORT(3, 4) SORT(6, 13) SORT(8, 14) SORT(10, 15) SORT(11, 12)
  SORT(0, 1) SORT(2, 3) SORT(4, 5) SORT(6, 8) SORT(7, 9) SORT(10, 11) SORT(12, 13) SORT(14, 15)
  SORT(0, 2) SORT(1, 3) SORT(4, 10) SORT(5, 11) SORT(6, 7) SORT(8, 9) SORT(12, 14) SORT(13, 15)
  SORT(1, 2) SORT(3, 12) SORT(4, 6) SORT(5, 7) SORT(8, 10) SORT(9, 11) SORT(13, 14)
  SORT(1, 4) SORT(2, 6) SORT(5, 8) SORT(7, 10) SORT(9, 13) SORT(11, 14)
  SORT(2, 4) SORT(3, 6) SORT(9, 12) SORT(11, 13)
  SORT(3, 5) SORT(6, 8) SORT(7, 9) SORT(10, 12)
  SORT(3, 4) SORT(5, 6) SORT(7, 8) SORT(9, 10) SORT(11, 12)
  SORT(6, 7) SORT(8, 9)
#undef SORT
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) sorted[16 - i] = v[i];
}

/* The kept-th largest magnitude of each of VL blocks of 32 behind each other. */
INLINE void bk_thresholds(const float *x, int64_t kept, int32_t *thresholds) {
  vi lanes[BK_SORTED], a[17], b[17];
  transpose_block(x, BK_SORTED, VL, BK_SORTED, (float *)lanes, VL);
  bk_sort(lanes, a);
  bk_sort(lanes + 16, b);
  /* i of the one half and kept - i of the other: of the choices that take the i first of each, the best. */
  a[0] = b[0] = MAGNITUDE - (vi){0};
  vi best = {0};
  for (int64_t i = MAX(0, kept - 16); i <= MIN(16, kept); i++) best = bk_max(best, bk_min(a[i], b[kept - i]));
  *(viu *)thresholds = best;
}

/* A list that is being written: index and value at the same place. */
typedef struct {
  int32_t *index;
  float *value;
  uint8_t *place;
} bk_list;

INLINE bk_list bk_at(bk_list to, int64_t at) { return (bk_list){to.index + at, to.value + at, to.place + at}; }

INLINE void bk_put(bk_list to, int64_t at, int64_t base, int64_t i, const float *x) {
  to.index[at] = (int32_t)(base + i);
  to.value[at] = x[i];
  to.place[at] = (uint8_t)i;
}

/* Lists the elements that reach the threshold where they are `kept`; `room` is how many may be written. */
INLINE int bk_reaching(const float *x, int32_t threshold, int64_t kept, int64_t base, bk_list to, int64_t room) {
  if (count_reaching(x, BK_SORTED, threshold) != kept) return 0;
  int64_t at = 0, i = 0;
#if defined(__AVX2__)
  const __m256i t = _mm256_set1_epi32(threshold - 1), m = _mm256_set1_epi32(MAGNITUDE);
  for (; i < BK_SORTED && at + 8 <= room; i += 8) {
    const __m256i bits = _mm256_loadu_si256((const __m256i *)(x + i));
    const __m256i hits = _mm256_cmpgt_epi32(_mm256_and_si256(bits, m), t);
    const unsigned hit = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(hits));
    /* As list_elements (compact.h): the numbers of the hit lanes, packed to the front. */
    const uint64_t lanes = _pext_u64(0x0706050403020100, _pdep_u64(hit, 0x0101010101010101) * 0xff);
    const uint64_t places = lanes + 0x0101010101010101 * (uint64_t)i;
    const __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)lanes));
    _mm256_storeu_si256((__m256i *)(to.index + at), _mm256_add_epi32(order, _mm256_set1_epi32((int32_t)(base + i))));
    _mm256_storeu_si256((__m256i *)(to.value + at), _mm256_permutevar8x32_epi32(bits, order));
    __builtin_memcpy(to.place + at, &places, 8);
    at += __builtin_popcount(hit);
  }
#endif
  for (; at < kept; i++) {
    bk_put(to, at, base, i, x);
    at += magnitude(x[i]) >= threshold;
  }
  return 1;
}

/* `size` is a multiple of VL, BK_RANKED at most. */
NOINLINE void bk_ranked(const float *x, int64_t size, int64_t kept, int64_t base, bk_list to) {
  int32_t magnitudes[BK_RANKED] __attribute__((aligned(64))), ranks[BK_RANKED] __attribute__((aligned(64)));
  vi lanes;
  for (int j = 0; j < VL; j++) lanes[j] = j;
  for (int64_t i = 0; i < size; i += VL) *(vi *)(magnitudes + i) = *(const viu *)(x + i) & MAGNITUDE;
  for (int64_t v = 0; v < size; v += VL) {
    const vi own = *(const vi *)(magnitudes + v), below = own - 1;
    vi rank = {0};
    for (int64_t i = 0; i < v; i++) rank -= magnitudes[i] > below;
    for (int64_t i = v; i < v + VL; i++) rank -= magnitudes[i] > own + (lanes > (int32_t)(i - v));
    for (int64_t i = v + VL; i < size; i++) rank -= magnitudes[i] > own;
    *(vi *)(ranks + v) = rank;
  }
  int64_t at = 0;
  for (int64_t i = 0; at < kept; i++) {
    bk_put(to, at, base, i, x);
    at += ranks[i] < kept;
  }
}

NOINLINE void bk_searched(const float *x, int64_t size, int64_t kept, int64_t base, bk_list to) {
  tk_row(x, size, kept, to.index, to.value);
  for (int64_t i = 0; i < kept; i++) {
    to.place[i] = (uint8_t)to.index[i];
    to.index[i] += (int32_t)base;
  }
}

static void select_block_top_k(const double *args, work w) {
  const float *x = PF(0);
  int32_t *start = PI(1);
  const int64_t rows = INT(5), size = INT(6), kept = INT(7), block = INT(8), blocksOfRow = size / block;
  int64_t first, last;
  share(rows * blocksOfRow, VL, w, &first, &last);
  if (w.part == 0) start[0] = 0;
  int32_t thresholds[VL] __attribute__((aligned(64)));
  for (int64_t b = first; b < last; b++) {
    const int64_t inRow = b % blocksOfRow;
    if (inRow == blocksOfRow - 1) start[b / blocksOfRow + 1] = (int32_t)((b + 1) * kept);
    const float *from = x + b * block;
    const bk_list to = bk_at((bk_list){PI(2), PF(3), (uint8_t *)PI(4)}, b * kept);
    if (block == BK_SORTED && b - first < (last - first) / VL * VL) {
      const int64_t lane = (b - first) % VL;
      if (lane == 0) bk_thresholds(from, kept, thresholds);
      if (bk_reaching(from, thresholds[lane], kept, inRow * block, to, (last - b) * kept)) continue;
    }
    if (block <= BK_RANKED && block % VL == 0) bk_ranked(from, block, kept, inRow * block, to);
    else bk_searched(from, block, kept, inRow * block, to);
  }
}
