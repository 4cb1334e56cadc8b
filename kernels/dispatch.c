/* The instruction sets of this binary. A set counts as supported only if the CPU has every extension that its unit was
 * compiled with and the operating system saves the registers (which __builtin_cpu_supports includes): one missing would
 * be an illegal instruction in the middle of training. f16c, lzcnt and popcnt came with AVX2 on every CPU made.
 */
#include "dispatch.h"

#include <string.h>

#define NAME(name) #name,
const char *const kernel_names[KERNEL_COUNT] = {KERNELS(NAME)};

static int always(void) { return 1; }

#if defined(__x86_64__)

extern const kernel qsparse_kernels_sse2[], qsparse_kernels_avx2[], qsparse_kernels_avx512[];

static int has_avx2(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

static int has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const isa isas[] = {
    {"sse2", qsparse_kernels_sse2, always},
    {"avx2", qsparse_kernels_avx2, has_avx2},
    {"avx512", qsparse_kernels_avx512, has_avx512},
};

#else

/* NEON on 64-bit ARM; elsewhere what the compiler makes of 16-byte vectors. */
extern const kernel qsparse_kernels_baseline[];

const isa isas[] = {
#if defined(__aarch64__)
    {"neon", qsparse_kernels_baseline, always},
#else
    {"baseline", qsparse_kernels_baseline, always},
#endif
};

#endif

const int isa_count = sizeof isas / sizeof isas[0];

const isa *isa_choose(const char *name) {
  for (int i = isa_count - 1; i >= 0; i--)
    if ((name == NULL || strcmp(name, isas[i].name) == 0) && isas[i].supported()) return &isas[i];
  return NULL;
}
