/* weight_matmul: out [tokens, n] (+)= x w for many tokens; slots as weight_matvec, then place, kept, blockSize (sparse_matmul.c).
 *
 * f32 and bf16 take the products of training (sparse_matmul.c, gemm.c), which read w by its row distance and widen bf16 while they pack it; int8
 * and ternary weight_tiles.c for lists and weight_gemm.c for dense x.
 */
#include "weight_gemm.c"
#include "weight_tiles.c"

INLINE void float_matmul(int as, const double *args, work w) {
  const int64_t m = INT(10), k = INT(11), n = INT(12), bRow = INT(5) / (as == AS_STORED ? 2 : 4);
  if (INT(0)) sm_part(as, (sm_product){PI(0), PI(1), PF(2), PF(4), PF(9), m, n, k, bRow, 1, n, 0, INT(13), sm_blocks_of(args + 14)}, w);
  else gemm_part(as, (gemm_product){PF(2), PF(4), PF(9), m, n, k, k, 1, bRow, 1, n, INT(13)}, w);
}

NOINLINE void matmul_stored_f32(const double *args, work w) { float_matmul(AS_F32, args, w); }
NOINLINE void matmul_stored_bf16(const double *args, work w) { float_matmul(AS_STORED, args, w); }

static void weight_matmul(const double *args, work w) {
  switch (INT(8)) {
    case WEIGHT_F32: matmul_stored_f32(args, w); break;
    case WEIGHT_BF16: matmul_stored_bf16(args, w); break;
    case WEIGHT_INT8:
      if (!INT(0)) gemm_int8(args, w);
      else if (INT(7) < MIN(WT_LEAST_GROUP, INT(11))) weight_matvec(args, w);
      else tiles_int8(args, w);
      break;
    default: INT(0) ? tiles_ternary(args, w) : gemm_ternary(args, w);
  }
}
