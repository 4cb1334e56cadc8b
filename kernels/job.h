/* A job: one kernel cut into parts, which any number of threads claim one by one. Shared by the native pool (pool.c) and
 * the wasm one (wasm.c), which differ only in how a thread sleeps.
 *
 * `ticket` packs generation (32 bits), parts (16) and the next unclaimed part (16) into one word. A claim is one
 * compare-and-swap on it, so a thread that wakes late can claim a part of the current job or nothing, never one of a
 * job that is over. The other fields do not change while a part is unfinished: the caller posts the next job only when
 * `done` has reached `parts`. A caller that claims like everybody else never waits for a thread that is still asleep.
 */
#ifndef QSPARSE_JOB_H
#define QSPARSE_JOB_H

#include "kernel.h"

#define MAX_PARTS 4096 /* < 2^16, far above any number of cores */

typedef struct {
  uint64_t ticket __attribute__((aligned(64)));
  int32_t done __attribute__((aligned(64))); /* on its own cache line: workers add to it while others claim */
  kernel run __attribute__((aligned(64)));
  const double *args;
} job;

INLINE int job_parts(uint64_t ticket) { return (int)(ticket >> 16 & 0xffff); }
INLINE int job_next(uint64_t ticket) { return (int)(ticket & 0xffff); }

INLINE int job_open(job *j) {
  uint64_t ticket = __atomic_load_n(&j->ticket, __ATOMIC_SEQ_CST);
  return job_next(ticket) < job_parts(ticket);
}

INLINE void job_post(job *j, kernel run, const double *args, int parts) {
  j->run = run;
  j->args = args;
  __atomic_store_n(&j->done, 0, __ATOMIC_RELAXED);
  uint64_t generation = (j->ticket >> 32) + 1;
  __atomic_store_n(&j->ticket, generation << 32 | (uint64_t)parts << 16, __ATOMIC_SEQ_CST);
}

/* A part of the current job that is now the caller's to run: its work but for the scratch, or 0 if none is left. */
INLINE int job_claim(job *j, work *w) {
  uint64_t ticket = __atomic_load_n(&j->ticket, __ATOMIC_ACQUIRE);
  while (job_next(ticket) < job_parts(ticket)) {
    if (__atomic_compare_exchange_n(&j->ticket, &ticket, ticket + 1, 1, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      w->part = job_next(ticket);
      w->parts = job_parts(ticket);
      return 1;
    }
  }
  return 0;
}

INLINE void job_finish_part(job *j) { __atomic_fetch_add(&j->done, 1, __ATOMIC_SEQ_CST); }
INLINE int32_t job_done(job *j) { return __atomic_load_n(&j->done, __ATOMIC_SEQ_CST); }

#endif
