/* The instruction sets of this binary. A set counts as supported only if the CPU has every extension that its unit was
 * compiled with and the operating system saves the registers (which __builtin_cpu_supports includes): one missing would
 * be an illegal instruction in the middle of training. f16c, lzcnt and popcnt came with AVX2 on every CPU made.
 */
#include "dispatch.h"

#include <string.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

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

#ifdef HAVE_AVX512BF16 /* the compiler knows it: scripts/lib/native.mjs */
extern const kernel qsparse_kernels_avx512bf16[];

/* Every processor with the dot product of bf16 has that of bytes too. */
static int has_avx512bf16(void) {
  return has_avx512() && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
}
#endif

const isa isas[] = {
    {"sse2", qsparse_kernels_sse2, always},
    {"avx2", qsparse_kernels_avx2, has_avx2},
#ifdef BF16_WITH_AVX2 /* the numbers of bf16 without its speed: scripts/imitate-bf16.mjs */
    {"avx2bf16", qsparse_kernels_avx2, has_avx2, .bf16 = 1},
#endif
    {"avx512", qsparse_kernels_avx512, has_avx512},
#ifdef HAVE_AVX512BF16
    {"avx512bf16", qsparse_kernels_avx512bf16, has_avx512bf16, .bf16 = 1},
#endif
};

#else

/* NEON on 64-bit ARM; elsewhere what the compiler makes of 16-byte vectors. */
extern const kernel qsparse_kernels_baseline[];

#if defined(__aarch64__) && defined(__linux__)
/* By number, because older headers lack HWCAP_ASIMDDP and HWCAP2_BF16. */
static int has_dotprod(void) { return (getauxval(AT_HWCAP) >> 20 & 1) != 0; }
static int has_bf16(void) { return (getauxval(AT_HWCAP2) >> 14 & 1) != 0; }
#elif defined(__aarch64__) && defined(__APPLE__)
static int has_key(const char *key) {
  int has = 0;
  size_t size = sizeof has;
  return sysctlbyname(key, &has, &size, NULL, 0) == 0 && has;
}
static int has_dotprod(void) { return has_key("hw.optional.arm.FEAT_DotProd"); }
static int has_bf16(void) { return has_key("hw.optional.arm.FEAT_BF16"); }
#else
static int has_dotprod(void) { return 0; }
static int has_bf16(void) { return 0; }
#endif

#ifdef HAVE_NEONDOTPROD
extern const kernel qsparse_kernels_neondotprod[];
#endif

#ifdef HAVE_NEONBF16
extern const kernel qsparse_kernels_neonbf16[];

/* Every processor with the dot product of bf16 has that of bytes too. */
static int has_neonbf16(void) { return has_dotprod() && has_bf16(); }
#endif

const isa isas[] = {
#if defined(__aarch64__)
    {"neon", qsparse_kernels_baseline, always},
#ifdef HAVE_NEONDOTPROD
    {"neondotprod", qsparse_kernels_neondotprod, has_dotprod},
#endif
#ifdef HAVE_NEONBF16
    {"neonbf16", qsparse_kernels_neonbf16, has_neonbf16, .bf16 = 1},
#endif
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
