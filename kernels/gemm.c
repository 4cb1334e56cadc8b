/* matmul: dense products in all transpositions, out [m, n] (+)= op(a) [m, k] op(b) [k, n].
 *
 * The blocking of GotoBLAS/BLIS: a block of b (KC x NC) is packed into panels of NR columns, a block of a (MC x KC) into
 * panels of MR rows, and a micro-kernel keeps an MR x NR tile of out in registers. Packing makes every transposition the same
 * contiguous stream and pads the edges with zeros, so that one micro-kernel serves all shapes. The order of the additions
 * of an element depends on k alone, never on the part that computes it.
 *
 * matmul: a, b, out, m, n, k, transposeA, transposeB, accumulate, stride     stride: from one row of out to the next, and, not
 * transposed, of b
 */
#include "transpose_block.h"

/* Rows of the register tile, two vectors each: 12 accumulators of AVX2's 16 registers, beside two vectors of b and one broadcast; 24
 * of AVX-512's 32; 16 of NEON's 32. Without a fused multiply-add (SSE2, wasm) the product needs a register as well: 8 of 16,
 * because V8 spills at 10. */
#if VL == 16
#define GEMM_MR 12
#elif VL == 8
#define GEMM_MR 6
#elif defined(__aarch64__)
#define GEMM_MR 8
#else
#define GEMM_MR 4
#endif
#define GEMM_NR (2 * VL)
#define GEMM_KC 256 /* a panel of b is KC * NR * 4 bytes: half of a 32 KB L1 */
#define GEMM_MC 96  /* a block of a is 96 KB: it stays in L2 while all panels of b pass over it */
#define GEMM_NC 640 /* a block of b is 640 KB; with a's block it fits the scratch */

/* tile [mr, nr] of out (+)= a panel [kc][MR] times b panel [kc][NR]. */
INLINE void gemm_micro(int64_t kc, const float *a, const float *b, float *out, int64_t ld, int64_t mr, int64_t nr,
                       int accumulate) {
  vf acc[GEMM_MR][2];
#pragma GCC unroll 16
  for (int i = 0; i < GEMM_MR; i++) {
    acc[i][0] = acc[i][1] = (vf){0};
    /* Needed only after the loop, by which time it has come from L2. */
    __builtin_prefetch(out + MIN(i, mr - 1) * ld, 1);
    __builtin_prefetch(out + MIN(i, mr - 1) * ld + nr - 1, 1);
  }
  for (int64_t p = 0; p < kc; p++) {
    const vf b0 = *(const vf *)(b + p * GEMM_NR), b1 = *(const vf *)(b + p * GEMM_NR + VL);
    const float *ap = a + p * GEMM_MR;
#pragma GCC unroll 16
    for (int i = 0; i < GEMM_MR; i++) {
      const vf ai = splat(ap[i]);
      acc[i][0] += ai * b0;
      acc[i][1] += ai * b1;
    }
  }
  if (mr == GEMM_MR && nr == GEMM_NR) {
#pragma GCC unroll 16
    for (int i = 0; i < GEMM_MR; i++) {
      float *o = out + i * ld;
      store(o, accumulate ? load(o) + acc[i][0] : acc[i][0]);
      store(o + VL, accumulate ? load(o + VL) + acc[i][1] : acc[i][1]);
    }
    return;
  }
  float edge[GEMM_MR][GEMM_NR] __attribute__((aligned(64)));
#pragma GCC unroll 16
  for (int i = 0; i < GEMM_MR; i++) {
    *(vf *)edge[i] = acc[i][0];
    *(vf *)(edge[i] + VL) = acc[i][1];
  }
  for (int64_t i = 0; i < mr; i++)
    for (int64_t j = 0; j < nr; j++) out[i * ld + j] = accumulate ? out[i * ld + j] + edge[i][j] : edge[i][j];
}

/* The element (r, c) of a block lies at x[r * rowStride + c * colStride]; packed as panels [cols][width] of `width` rows. */
INLINE void gemm_pack(const float *x, int64_t rowStride, int64_t colStride, int64_t rows, int64_t cols, int64_t width,
                      float *packed) {
  for (int64_t r = 0; r < rows; r += width, packed += width * cols) {
    const int64_t have = MIN(width, rows - r);
    const float *from = x + r * rowStride;
    if (rowStride == 1 && have == width) {
      for (int64_t c = 0; c < cols; c++)
        for (int64_t i = 0; i < width; i++) packed[c * width + i] = from[c * colStride + i];
      continue;
    }
    if (colStride == 1) {
      transpose_block(from, rowStride, have, cols, packed, width);
    } else {
      for (int64_t i = 0; i < have; i++)
        for (int64_t c = 0; c < cols; c++) packed[c * width + i] = from[i * rowStride + c * colStride];
    }
    for (int64_t i = have; i < width; i++)
      for (int64_t c = 0; c < cols; c++) packed[c * width + i] = 0;
  }
}

static void gemm_block(const float *a, int64_t aRow, int64_t aCol, const float *b, int64_t bRow, int64_t bCol, float *out,
                       int64_t ld, int64_t m, int64_t n, int64_t k, int accumulate, float *scratch) {
  float *packedB = scratch, *packedA = scratch + GEMM_KC * GEMM_NC;
  for (int64_t j = 0; j < n; j += GEMM_NC) {
    const int64_t nc = MIN(GEMM_NC, n - j);
    for (int64_t p = 0; p < k; p += GEMM_KC) {
      const int64_t kc = MIN(GEMM_KC, k - p);
      const int add = accumulate || p > 0;
      gemm_pack(b + p * bRow + j * bCol, bCol, bRow, nc, kc, GEMM_NR, packedB);
      for (int64_t i = 0; i < m; i += GEMM_MC) {
        const int64_t mc = MIN(GEMM_MC, m - i);
        gemm_pack(a + i * aRow + p * aCol, aRow, aCol, mc, kc, GEMM_MR, packedA);
        for (int64_t jr = 0; jr < nc; jr += GEMM_NR)
          for (int64_t ir = 0; ir < mc; ir += GEMM_MR)
            gemm_micro(kc, packedA + ir * kc, packedB + jr * kc, out + (i + ir) * ld + j + jr, ld, MIN(GEMM_MR, mc - ir),
                       MIN(GEMM_NR, nc - jr), add);
      }
    }
  }
}

static void matmul(const double *args, work w) {
  const float *a = PF(0), *b = PF(1);
  float *out = PF(2);
  const int64_t m = INT(3), n = INT(4), k = INT(5);
  const int64_t aRow = INT(6) ? 1 : k, aCol = INT(6) ? m : 1;
  const int64_t stride = INT(9);
  const int64_t bRow = INT(7) ? 1 : stride, bCol = INT(7) ? k : 1;
  int64_t first, last;
  /* The longer side is divided: the shorter one's packing is what each part repeats. */
  if (m >= n) {
    share(m, GEMM_MR, w, &first, &last);
    if (first < last)
      gemm_block(a + first * aRow, aRow, aCol, b, bRow, bCol, out + first * stride, stride, last - first, n, k, INT(8),
                 w.scratch);
  } else {
    share(n, GEMM_NR, w, &first, &last);
    if (first < last)
      gemm_block(a, aRow, aCol, b + first * bCol, bRow, bCol, out + first, stride, m, last - first, k, INT(8), w.scratch);
  }
}
