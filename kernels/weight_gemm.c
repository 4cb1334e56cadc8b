/* weight_gemm: the product of weight_matmul for int8 and ternary weights and dense inputs: the blocking of gemm.c on words.
 *
 * Weights and inputs are widened to words while they are packed, two neighbours along k in one lane, and a step of the micro-kernel multiplies
 * and adds both (weight_row.h, add_words), exactly and without saturation. Ternary weights are unpacked into bytes first. Sums stand in slot order
 * until they are scaled into out; a block of k ends where a group of scales ends at the latest.
 */
#include "weight_stream.h"

#if VL == 16
#define WG_MR 12
#elif VL == 8
#define WG_MR 6
#else
#define WG_MR 4
#endif
#define WG_NR (2 * VL)
#define WG_KC 512 /* rows of w: a panel of them is 16 KB on AVX2 */
#define WG_MC 96 /* tokens: their sums are 192 KB */
#define WG_NC 512

typedef int32_t words; /* two words of 16 bits: neighbours along k */

/* sums [WG_MR][WG_NR] += a panel [kc][WG_MR] of inputs times one of weights [kc][WG_NR]. */
INLINE void wg_micro(int64_t kc, const words *x, const words *w, int32_t *sums, int64_t stride) {
  vi acc[WG_MR][2];
#pragma GCC unroll 16
  for (int i = 0; i < WG_MR; i++) {
    acc[i][0] = *(const vi *)(sums + i * stride);
    acc[i][1] = *(const vi *)(sums + i * stride + VL);
  }
  for (int64_t p = 0; p < kc; p++) {
    const vi w0 = *(const vi *)(w + p * WG_NR), w1 = *(const vi *)(w + p * WG_NR + VL);
#pragma GCC unroll 16
    for (int i = 0; i < WG_MR; i++) {
      const vi both = x[p * WG_MR + i] - (vi){0};
      acc[i][0] = add_words(acc[i][0], w0, both);
      acc[i][1] = add_words(acc[i][1], w1, both);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < WG_MR; i++) {
    *(vi *)(sums + i * stride) = acc[i][0];
    *(vi *)(sums + i * stride + VL) = acc[i][1];
  }
}

/* Panels [kc][WG_MR] of `tokens` inputs of x [.., stride] from column 0 on; what is not there is 0. */
INLINE void wg_pack_inputs(const int8_t *x, int64_t stride, int64_t tokens, int64_t rows, words *to) {
  const int64_t kc = (rows + 1) / 2;
  for (int64_t t0 = 0; t0 < tokens; t0 += WG_MR, to += kc * WG_MR)
    for (int64_t i = 0; i < WG_MR; i++) {
      const int8_t *from = x + (t0 + i) * stride;
      for (int64_t p = 0; p < kc; p++) {
        const int there = t0 + i < tokens;
        const int32_t low = there ? from[2 * p] : 0, high = there && 2 * p + 1 < rows ? from[2 * p + 1] : 0;
        to[p * WG_MR + i] = (low & 0xffff) | (int32_t)((uint32_t)high << 16);
      }
    }
}

/* VB columns of two rows as four vectors of words in lanes, in slot order. */
INLINE void wg_widen(vb a, vb b, vi *to) {
  const vb mixed[2] = {mix_bytes_lower(a, b), mix_bytes_upper(a, b)};
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++) {
    const vb twice[2] = {mix_bytes_lower(mixed[h], mixed[h]), mix_bytes_upper(mixed[h], mixed[h])};
    to[2 * h] = (vi)((vw)twice[0] >> 8);
    to[2 * h + 1] = (vi)((vw)twice[1] >> 8);
  }
}

/* One row's bytes of columns c .. c + VB. */
INLINE vb wg_bytes(int ternary, const uint8_t *row, int64_t c, int64_t cols) {
  if (!ternary) return cols - c >= VB ? load_bytes(row + c) : load_some_bytes(row + c, cols - c);
  int8_t chunk[TERNARY_CHUNK_COLS] __attribute__((aligned(64)));
  unpack_ternary(row + c / TERNARY_CHUNK_COLS * TERNARY_CHUNK_BYTES, chunk);
  return *(const vb *)(chunk + c % TERNARY_CHUNK_COLS);
}

/* Panels [kc][WG_NR] of columns 0 .. cols of `rows` rows of w. */
INLINE void wg_pack_weights(int ternary, stored_rows w, int64_t rows, int64_t cols, words *to) {
  const int64_t kc = (rows + 1) / 2;
  for (int64_t p = 0; p < kc; p++) {
    const uint8_t *row = w.w + 2 * p * w.rowBytes;
    for (int64_t c = 0; c < cols; c += VB) {
      const vb a = wg_bytes(ternary, row, c, cols);
      const vb b = 2 * p + 1 < rows ? wg_bytes(ternary, row + w.rowBytes, c, cols) : (vb){0};
      vi wide[4];
      wg_widen(a, b, wide);
      words *panel = to + c / VB * 2 * kc * WG_NR + p * WG_NR;
      *(vi *)panel = wide[0];
      *(vi *)(panel + VL) = wide[1];
      *(vi *)(panel + kc * WG_NR) = wide[2];
      *(vi *)(panel + kc * WG_NR + VL) = wide[3];
    }
  }
}

/* Columns c .. c + cols of `count` tokens from `token` on. */
INLINE void wg_block(int ternary, const double *args, void *scratch, int64_t token, int64_t count, int64_t c, int64_t cols) {
  const int64_t k = INT(11), n = INT(12), groupRows = ternary ? k : INT(7);
  const int64_t wide = (cols + VB - 1) / VB * VB;
  words *weights = scratch, *inputs = weights + WG_KC / 2 * WG_NC;
  int32_t *sums = (int32_t *)(inputs + WG_KC / 2 * WG_MC);
  for (int64_t row0 = 0, end; row0 < k; row0 = end) {
    const int64_t limit = MIN(k, (row0 / groupRows + 1) * groupRows);
    end = MIN(limit, row0 + WG_KC);
    const int64_t rows = end - row0, kc = (rows + 1) / 2;
    const stored_rows w = {(const uint8_t *)PF(4) + row0 * INT(5) + (ternary ? c / 4 : c), INT(5)};
    if (row0 % groupRows == 0)
      for (int64_t j = 0; j < WG_MC * wide; j++) sums[j] = 0;
    wg_pack_weights(ternary, w, rows, cols, weights);
    wg_pack_inputs((const int8_t *)PF(2) + token * k + row0, k, count, rows, inputs);
    for (int64_t j = 0; j < wide; j += WG_NR)
      for (int64_t i = 0; i < count; i += WG_MR)
        wg_micro(kc, inputs + i * kc, weights + j * kc, sums + i * wide + j, wide);
    for (int64_t t = 0; end == limit && t < count; t++) {
      const float *scale = PF(6) + row0 / groupRows * n + c;
      add_scaled((const vi *)(sums + t * wide), scale, PF(3)[token + t], PF(9) + (token + t) * n + c, cols);
    }
  }
}

INLINE void wg_part(int ternary, const double *args, work w) {
  const int64_t tokens = INT(10), n = INT(12);
  int64_t first, last;
  share(n, 128, w, &first, &last);
  for (int64_t t = 0; !INT(13) && t < tokens; t++)
    for (int64_t c = first; c < last; c++) PF(9)[t * n + c] = 0;
  for (int64_t t = 0; t < tokens; t += WG_MC)
    for (int64_t c = first; c < last; c += WG_NC)
      wg_block(ternary, args, w.scratch, t, MIN(WG_MC, tokens - t), c, MIN(WG_NC, last - c));
}

NOINLINE void gemm_int8(const double *args, work w) { wg_part(0, args, w); }
NOINLINE void gemm_ternary(const double *args, work w) { wg_part(1, args, w); }
