/* matmul: dense products in all transpositions, out [m, n] (+)= op(a) [m, k] op(b) [k, n].
 *
 * The blocking of GotoBLAS/BLIS: a block of b (KC x NC) is packed into panels of NR columns, a block of a (MC x KC) into
 * panels of MR rows, and a micro-kernel keeps an MR x NR tile of out in registers. Packing makes every transposition the same
 * contiguous stream and pads the edges with zeros, so that one micro-kernel serves all shapes. The order of the additions
 * of an element depends on k alone, never on the part that computes it.
 *
 * In bf16 both operands are rounded while they are packed, two neighbours along k in the 32 bits of one f32 (bf16.h). So the panels
 * have the same bytes for twice the depth, and the blocking and the micro-kernel are one text with a constant `as`.
 *
 * matmul: a, b, out, m, n, k, transposeA, transposeB, accumulate, stride, bf16     stride: from one row of out to the next, and,
 * not transposed, of b
 */
#include "bf16.h"
#include "transpose_block.h"
#include "weight_row.h"

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
#define GEMM_STRIP 64 /* pairs */

/* What the micro-kernel is made of, on f32 or on the bits of pairs: a vector of b, an element of a in all lanes, a step of the sum. */
INLINE vf gemm_vector(int as, const float *b) { return as == AS_ROUNDED ? (vf)(vu)*(const vuu *)b : *(const vf *)b; }
INLINE vf gemm_splat(int as, const float *a) { return as == AS_ROUNDED ? (vf)splat_pair(*(const pair *)a) : splat(*a); }
INLINE vf gemm_add(int as, vf acc, vf a, vf b) { return as == AS_ROUNDED ? dot_pairs(acc, (vu)a, (vu)b) : acc + a * b; }

/* tile [mr, nr] of out (+)= a panel [kc][MR] times b panel [kc][NR]. In bf16 kc counts pairs. */
INLINE void gemm_micro(int as, int64_t kc, const float *a, const float *b, float *out, int64_t ld, int64_t mr,
                       int64_t nr, int accumulate) {
  vf acc[GEMM_MR][2];
#pragma GCC unroll 16
  for (int i = 0; i < GEMM_MR; i++) {
    acc[i][0] = acc[i][1] = (vf){0};
    /* Needed only after the loop, by which time it has come from L2. */
    __builtin_prefetch(out + MIN(i, mr - 1) * ld, 1);
    __builtin_prefetch(out + MIN(i, mr - 1) * ld + nr - 1, 1);
  }
  for (int64_t p = 0; p < kc; p++) {
    const vf b0 = gemm_vector(as, b + p * GEMM_NR), b1 = gemm_vector(as, b + p * GEMM_NR + VL);
    const float *ap = a + p * GEMM_MR;
#pragma GCC unroll 16
    for (int i = 0; i < GEMM_MR; i++) {
      const vf ai = gemm_splat(as, ap + i);
      acc[i][0] = gemm_add(as, acc[i][0], ai, b0);
      acc[i][1] = gemm_add(as, acc[i][1], ai, b1);
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

/* One depth of a panel: pairs (low[i], high[i]) of `width` rows, of which `rows` are there; no `high` is 0. Whole vectors are written
 * where there is one to read: what is too much the next depth or panel writes over, and behind the last one is scratch. */
INLINE void gemm_pack_columns(const float *low, const float *high, int64_t rows, int64_t width, pair *packed) {
  for (int64_t i = 0; i < width; i += VL) {
    if (i + VL <= rows) {
      *(vuu *)(packed + i) = pairs_of(load(low + i), high ? load(high + i) : (vf){0});
      continue;
    }
    for (int64_t r = i; r < MIN(width, i + VL); r++) packed[r] = r < rows ? pair_of(low[r], high ? high[r] : 0) : 0;
  }
}

/* The same as panels [(cols + 1) / 2][width] of pairs along the columns; behind an odd last column, and in rows that are not there, 0. */
INLINE void gemm_pack_pairs(const float *x, int64_t rowStride, int64_t colStride, int64_t rows, int64_t cols, int64_t width,
                            pair *packed) {
  const int64_t depth = (cols + 1) / 2;
  for (int64_t r = 0; r < rows; r += width, packed += width * depth) {
    const int64_t have = MIN(width, rows - r);
    const float *from = x + r * rowStride;
    if (rowStride == 1) {
      for (int64_t p = 0; p < depth; p++, from += 2 * colStride)
        gemm_pack_columns(from, 2 * p + 1 < cols ? from + colStride : NULL, rows - r, width, packed + p * width);
      continue;
    }
    /* The rows are contiguous: rounded into a strip in L1, and transposed from there. */
    float strip[GEMM_NR * GEMM_STRIP];
    for (int64_t p = 0; p < depth; p += GEMM_STRIP) {
      const int64_t deep = MIN(GEMM_STRIP, depth - p);
      for (int64_t i = 0; i < have; i++)
        round_row(from + i * rowStride + 2 * p, MIN(2 * GEMM_STRIP, cols - 2 * p), (pair *)strip + i * GEMM_STRIP);
      transpose_block(strip, GEMM_STRIP, have, deep, (float *)packed + p * width, width);
    }
    for (int64_t i = have; i < width; i++)
      for (int64_t p = 0; p < depth; p++) packed[p * width + i] = 0;
  }
}

INLINE void gemm_pack_as(int as, const float *x, int64_t rowStride, int64_t colStride, int64_t rows, int64_t cols,
                         int64_t width, float *packed) {
  if (as == AS_ROUNDED) gemm_pack_pairs(x, rowStride, colStride, rows, cols, width, (pair *)packed);
  else gemm_pack(x, rowStride, colStride, rows, cols, width, packed);
}

/* Panels of b from element `at` on. */
INLINE void gemm_pack_b(int as, const void *b, int64_t at, int64_t bCol, int64_t bRow, int64_t nc, int64_t rows, float *packed) {
  if (as != AS_STORED) {
    gemm_pack_as(as, (const float *)b + at, bCol, bRow, nc, rows, GEMM_NR, packed);
    return;
  }
  for (int64_t c = 0; c < nc; c += GEMM_NR, packed += GEMM_NR * rows) {
    const uint8_t *from = (const uint8_t *)((const uint16_t *)b + at + c);
    for (int64_t r = 0; r < rows; r++, from += 2 * bRow) {
      float *to = packed + r * GEMM_NR;
      if (nc - c >= GEMM_NR) {
        *(vf *)to = load_bf16(from);
        *(vf *)(to + VL) = load_bf16(from + 2 * VL);
      } else {
        for (int64_t i = 0; i < GEMM_NR; i++) to[i] = i < nc - c ? bf16_at(from, i) : 0;
      }
    }
  }
}

INLINE void gemm_block(int as, const float *a, int64_t aRow, int64_t aCol, const void *b, int64_t bRow, int64_t bCol,
                       float *out, int64_t ld, int64_t m, int64_t n, int64_t k, int accumulate, float *scratch) {
  float *packedB = scratch, *packedA = scratch + GEMM_KC * GEMM_NC;
  const int64_t block = as == AS_ROUNDED ? 2 * GEMM_KC : GEMM_KC; /* even: pairs begin with it, whatever the part */
  for (int64_t j = 0; j < n; j += GEMM_NC) {
    const int64_t nc = MIN(GEMM_NC, n - j);
    for (int64_t p = 0; p < k; p += block) {
      const int64_t cols = MIN(block, k - p), kc = as == AS_ROUNDED ? (cols + 1) / 2 : cols;
      const int add = accumulate || p > 0;
      gemm_pack_b(as, b, p * bRow + j * bCol, bCol, bRow, nc, cols, packedB);
      for (int64_t i = 0; i < m; i += GEMM_MC) {
        const int64_t mc = MIN(GEMM_MC, m - i);
        gemm_pack_as(as, a + i * aRow + p * aCol, aRow, aCol, mc, cols, GEMM_MR, packedA);
        for (int64_t jr = 0; jr < nc; jr += GEMM_NR)
          for (int64_t ir = 0; ir < mc; ir += GEMM_MR)
            gemm_micro(as, kc, packedA + ir * kc, packedB + jr * kc, out + (i + ir) * ld + j + jr, ld,
                       MIN(GEMM_MR, mc - ir), MIN(GEMM_NR, nc - jr), add);
      }
    }
  }
}

/* A dense product: the operands, the distances between their elements, and how b is read. */
typedef struct {
  const float *a;
  const void *b;
  float *out;
  int64_t m, n, k, aRow, aCol, bRow, bCol, stride;
  int accumulate;
} gemm_product;

INLINE gemm_product gemm_product_of(const double *args) {
  const int64_t m = INT(3), k = INT(5), stride = INT(9), turnA = INT(6), turnB = INT(7);
  return (gemm_product){PF(0), PF(1), PF(2), m, INT(4), k, turnA ? 1 : k, turnA ? m : 1, turnB ? 1 : stride, turnB ? k : 1, stride, INT(8)};
}

/* The share of a part. The longer side is divided: the shorter one's packing is what each part repeats. */
INLINE void gemm_part(int as, gemm_product p, work w) {
  const int64_t size = as == AS_STORED ? 2 : 4;
  int64_t r0 = 0, r1 = p.m, c0 = 0, c1 = p.n;
  if (p.m >= p.n) share(p.m, GEMM_MR, w, &r0, &r1);
  else share(p.n, GEMM_NR, w, &c0, &c1);
  if (r0 < r1 && c0 < c1)
    gemm_block(as, p.a + r0 * p.aRow, p.aRow, p.aCol, (const char *)p.b + c0 * p.bCol * size, p.bRow, p.bCol,
               p.out + r0 * p.stride + c0, p.stride, r1 - r0, c1 - c0, p.k, p.accumulate, w.scratch);
}

/* One function for each precision: neither takes registers from the other. */
NOINLINE void matmul_f32(const double *args, work w) { gemm_part(AS_F32, gemm_product_of(args), w); }
NOINLINE void matmul_bf16(const double *args, work w) { gemm_part(AS_ROUNDED, gemm_product_of(args), w); }

static void matmul(const double *args, work w) {
  if (INT(10)) matmul_bf16(args, w);
  else matmul_f32(args, w);
}
