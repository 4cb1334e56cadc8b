/* The native thread pool (POSIX threads).
 *
 * Between two kernels of a training step lie a few microseconds of JavaScript, and waking a sleeping thread costs about
 * as much as a small kernel. So a worker that runs out of work looks for the next job for SPIN_NS before it sleeps, and the
 * caller claims parts itself (job.h) instead of waiting for sleepers. A process that does nothing burns nothing.
 */
#include "pool.h"

#include "job.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Longer than the JavaScript between two kernels, shorter than anything a person or a power meter notices. */
#define SPIN_NS 50000
/* Pauses between two looks at the clock: about a microsecond. */
#define PAUSES 32
/* What macOS and musl give a thread by default is less than some kernels' tiles of registers and buffers may need. */
#define STACK_BYTES (1 << 20)

typedef struct {
  pool *owner;
  char *scratch;
  pthread_t id;
} worker;

struct pool {
  job job;
  int32_t sleepers __attribute__((aligned(64))); /* workers that need a signal */
  int32_t waiting;                               /* the caller needs one */
  int32_t stop;
  int workers;
  pthread_mutex_t mutex;
  pthread_cond_t posted, finished;
  char *scratch; /* (workers + 1) * SCRATCH_BYTES; the first is the caller's */
  worker worker[];
};

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int stopped(pool *p) { return __atomic_load_n(&p->stop, __ATOMIC_SEQ_CST); }

/* Whether a job is open or the pool stops, within SPIN_NS. */
static int spin_for_work(pool *p) {
  int64_t end = now_ns() + SPIN_NS;
  do {
    for (int i = 0; i < PAUSES; i++) {
      if (job_open(&p->job) || stopped(p)) return 1;
      pause_briefly();
    }
  } while (now_ns() < end);
  return 0;
}

/* A thread between its last look and its wait holds the mutex: once that is over, a signal cannot miss it. The signal
 * itself comes after the unlock, for whoever wakes needs the mutex. */
static void wait_out(pthread_mutex_t *mutex) {
  pthread_mutex_lock(mutex);
  pthread_mutex_unlock(mutex);
}

/* `sleepers` is raised before the last look at the ticket, the caller reads it after posting: one of the two sees the
 * other, so no wake-up is lost. The same holds for `waiting` and `done` below. */
static void sleep_for_work(pool *p) {
  pthread_mutex_lock(&p->mutex);
  __atomic_fetch_add(&p->sleepers, 1, __ATOMIC_SEQ_CST);
  while (!job_open(&p->job) && !stopped(p)) pthread_cond_wait(&p->posted, &p->mutex);
  __atomic_fetch_sub(&p->sleepers, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_unlock(&p->mutex);
}

static void run_parts(pool *p, void *scratch) {
  work w = {.scratch = scratch};
  while (job_claim(&p->job, &w)) {
    p->job.run(p->job.args, w);
    job_finish_part(&p->job);
  }
}

static void *worker_main(void *argument) {
  worker *self = argument;
  pool *p = self->owner;
  while (!stopped(p)) {
    run_parts(p, self->scratch);
    if (__atomic_load_n(&p->waiting, __ATOMIC_SEQ_CST)) {
      wait_out(&p->mutex);
      pthread_cond_signal(&p->finished);
    }
    if (!spin_for_work(p)) sleep_for_work(p);
  }
  return NULL;
}

static void wait_until_done(pool *p, int parts) {
  int64_t end = 0;
  for (;;) {
    for (int i = 0; i < PAUSES; i++) {
      if (job_done(&p->job) == parts) return;
      pause_briefly();
    }
    int64_t now = now_ns();
    if (end == 0) end = now + SPIN_NS;
    if (now >= end) break;
  }
  pthread_mutex_lock(&p->mutex);
  __atomic_store_n(&p->waiting, 1, __ATOMIC_SEQ_CST);
  while (job_done(&p->job) != parts) pthread_cond_wait(&p->finished, &p->mutex);
  __atomic_store_n(&p->waiting, 0, __ATOMIC_SEQ_CST);
  pthread_mutex_unlock(&p->mutex);
}

void pool_run(pool *p, kernel run, const double *args, int parts) {
  if (parts == 1) {
    run(args, (work){.part = 0, .parts = 1, .scratch = p->scratch});
    return;
  }
  job_post(&p->job, run, args, parts);
  if (__atomic_load_n(&p->sleepers, __ATOMIC_SEQ_CST) > 0) {
    wait_out(&p->mutex);
    pthread_cond_broadcast(&p->posted);
  }
  run_parts(p, p->scratch);
  wait_until_done(p, parts);
}

/* Signals are Node's: they must arrive at its main thread, so the workers block them all. */
static int start_worker(worker *w) {
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&w->id, &attributes, worker_main, w);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return !failed;
}

pool *pool_create(int threads) {
  void *memory = NULL, *scratch = NULL;
  size_t bytes = sizeof(pool) + sizeof(worker) * (size_t)(threads - 1);
  if (posix_memalign(&memory, 64, bytes)) return NULL;
  if (posix_memalign(&scratch, 4096, (size_t)SCRATCH_BYTES * (size_t)threads)) {
    free(memory);
    return NULL;
  }
  memset(memory, 0, bytes);
  pool *p = memory;
  p->scratch = scratch;
  pthread_mutex_init(&p->mutex, NULL);
  pthread_cond_init(&p->posted, NULL);
  pthread_cond_init(&p->finished, NULL);
  for (int i = 0; i < threads - 1; i++) {
    p->worker[i].owner = p;
    p->worker[i].scratch = p->scratch + (size_t)SCRATCH_BYTES * (size_t)(i + 1);
    if (!start_worker(&p->worker[i])) {
      pool_destroy(p);
      return NULL;
    }
    p->workers++;
  }
  return p;
}

void pool_destroy(pool *p) {
  pthread_mutex_lock(&p->mutex);
  __atomic_store_n(&p->stop, 1, __ATOMIC_SEQ_CST);
  pthread_cond_broadcast(&p->posted);
  pthread_mutex_unlock(&p->mutex);
  for (int i = 0; i < p->workers; i++) pthread_join(p->worker[i].id, NULL);
  pthread_cond_destroy(&p->finished);
  pthread_cond_destroy(&p->posted);
  pthread_mutex_destroy(&p->mutex);
  free(p->scratch);
  free(p);
}
