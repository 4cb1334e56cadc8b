/* Which instruction sets this binary holds, which of them the CPU has, and the kernel table of the one that is chosen. */
#ifndef QSPARSE_DISPATCH_H
#define QSPARSE_DISPATCH_H

#include "kernel.h"
#include "kernel_list.h"

typedef struct {
  const char *name;
  const kernel *kernels; /* in the order of kernel_list.h */
  int (*supported)(void);
  int bf16; /* it has an instruction for bf16 products (bf16.h) */
} isa;

/* From the plainest to the widest; the first runs on every CPU of the architecture. */
extern const isa isas[];
extern const int isa_count;
extern const char *const kernel_names[KERNEL_COUNT];

/* The set called `name`, or the widest that the CPU has where name is NULL. NULL: unknown, or the CPU lacks it. */
const isa *isa_choose(const char *name);

#endif
