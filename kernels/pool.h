/* The native thread pool: `threads` - 1 workers and the thread that calls. One job at a time, from one thread. */
#ifndef QSPARSE_POOL_H
#define QSPARSE_POOL_H

#include "kernel.h"

typedef struct pool pool;

/* NULL if the memory or a thread cannot be had. */
pool *pool_create(int threads);
/* Ends and joins the workers. */
void pool_destroy(pool *p);
/* Runs all parts of a kernel; on return they are finished. 1 <= parts <= MAX_PARTS, more than threads is fine. */
void pool_run(pool *p, kernel run, const double *args, int parts);

#endif
