/* Every kernel as one translation unit: compiled once for each instruction set, with -DISA=<suffix> and that set's flags.
 *
 * One unit makes the vector width a compile-time constant everywhere and lets the compiler inline across kernels. All
 * that leaves it is one table, `qsparse_kernels_<suffix>`, in the order of kernel_list.h.
 */
#include "kernel.h"
#include "kernel_list.h"

#include "gemm.c"
#include "sparse_matmul.c"
#include "sampled_matmul.c"
#include "weight_matvec.c"
#include "weight_matmul.c"
#include "weight_dots.c"
#include "weight_rows.c"
#include "quantize.c"
#include "block_top_k.c"
#include "rows.c"
#include "rms_norm.c"
#include "select_input.c" /* of three files above it */
#include "rope.c"
#include "attention.c"
#include "kv_cache.c"
#include "glu.c"
#include "mixture.c"
#include "embedding.c"
#include "cross_entropy.c"
#include "softmax_divergence.c"
#include "prune.c"
#include "adamw.c"
#include "adamw8.c"
#include "reduce.c"

#define PASTE(a, b) a##b
#define TABLE(suffix) PASTE(qsparse_kernels_, suffix)
#define ENTRY(name) name,

extern const kernel TABLE(ISA)[KERNEL_COUNT];
const kernel TABLE(ISA)[KERNEL_COUNT] = {KERNELS(ENTRY)};
