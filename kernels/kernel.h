/* The contract of every C kernel.
 *
 * A kernel is entered as `void NAME(const double *args, work w)`. `args` is a block of f64 slots that the TypeScript
 * wrapper (src/backends/c-kernels.ts) fills in the order that the kernel's file documents: addresses (exact in an f64 up to
 * 2^53), sizes and numbers. One layout serves the native addon and wasm, so that there is one wrapper for both.
 *
 * `w` says which share of the OUTPUT the call writes: part `w.part` of `w.parts`. Kernels use no atomics, divide no sum
 * between parts and never allocate: `w.scratch` is SCRATCH_BYTES of memory, 64-byte aligned, private to the part.
 * Hence the result is bit-identical for any number of parts.
 *
 * The text uses GNU vector extensions: VL floats of a `vf` are one register of the instruction set that the file is
 * compiled for. Each set is one object: all.c compiled with other flags and another ISA suffix.
 */
#ifndef QSPARSE_KERNEL_H
#define QSPARSE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#ifndef VL
#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX2__)
#define VL 8
#else
#define VL 4 /* SSE2, NEON, wasm SIMD128 */
#endif
#endif

typedef float vf __attribute__((vector_size(VL * 4)));
typedef int32_t vi __attribute__((vector_size(VL * 4)));
/* The same vectors at any address, and free to alias other types. */
typedef float vfu __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t viu __attribute__((vector_size(VL * 4), aligned(4), may_alias));

typedef struct {
  int part, parts;
  void *scratch;
} work;

typedef void (*kernel)(const double *args, work w);

#define SCRATCH_BYTES (1 << 20)

#define PF(i) ((float *)(uintptr_t)args[i])
#define PD(i) ((double *)(uintptr_t)args[i])
#define PI(i) ((int32_t *)(uintptr_t)args[i])
#define INT(i) ((int64_t)args[i])
#define FLT(i) ((float)args[i])

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

INLINE vf load(const float *p) { return *(const vfu *)p; }
INLINE void store(float *p, vf v) { *(vfu *)p = v; }
INLINE vf splat(float x) { return x - (vf){0}; }

/* Elements first .. last of `count` for a part, cut at multiples of `grain`. */
INLINE void share(int64_t count, int64_t grain, work w, int64_t *first, int64_t *last) {
  int64_t units = (count + grain - 1) / grain;
  *first = MIN(count, units * w.part / w.parts * grain);
  *last = MIN(count, units * (w.part + 1) / w.parts * grain);
}

/* The first row of a part where rows are divided by their work, not by their number: that of a row is its elements and
 * `rowCost` elements' worth besides. start [m + 1] as in SparseRows. */
INLINE int64_t split_rows(const int32_t *start, int64_t m, int64_t rowCost, int64_t part, int64_t parts) {
  if (part == parts) return m;
  const int64_t goal = (start[m] + rowCost * m) * part / parts;
  int64_t low = 0, high = m;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (start[middle] + rowCost * middle < goal) low = middle + 1;
    else high = middle;
  }
  return low;
}

#endif
