/* The wasm module: kernels, job loop and memory functions, without a standard library.
 *
 * One module, one shared memory, one instance for each thread. The main thread's instance posts a job and works on it;
 * each worker's sits in `work_until_stopped`. Every thread has a stack of its own (the exported __stack_pointer) and brings its scratch.
 * Compiled by clang for wasm32 with threads and SIMD128; wasm-backend.ts loads it.
 *
 * A kernel that traps (an address outside the memory) leaves its part unfinished. The worker's JavaScript then calls
 * `finish_failed_part`, the main thread's `abandon`, so that nobody waits for ever; `failed` tells the caller.
 */
#define ISA wasm
#include "all.c"

#include "job.h"

#define EXPORT(name) __attribute__((export_name(#name)))

/* Some 50 microseconds: see pool.c. wasm has neither a pause instruction nor a clock. */
#define SPINS 50000
#define MESSAGE_BYTES 256
#define ARG_SLOTS 32

static job current;
static double args[ARG_SLOTS] __attribute__((aligned(64)));
static char message[MESSAGE_BYTES]; /* of the first failure, UTF-8, ended by 0 */
static int32_t sleepers __attribute__((aligned(64)));
static int32_t waiting, stop, failed;

/* The upper half of the ticket, which changes with every job: what sleeping workers wait on (little-endian). */
static int32_t *generation(void) { return (int32_t *)&current.ticket + 1; }

static int32_t load_now(int32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }

/* ---- what the compiler expects to find ---------------------------------------------------------------------------- */

void *memcpy(void *to, const void *from, size_t bytes) { return __builtin_memcpy(to, from, bytes); }
void *memmove(void *to, const void *from, size_t bytes) { return __builtin_memmove(to, from, bytes); }
void *memset(void *to, int byte, size_t bytes) { return __builtin_memset(to, byte, bytes); }

/* ---- for JavaScript ----------------------------------------------------------------------------------------------- */

#define NAME(name) #name ","
EXPORT(kernel_names) const char *wasm_kernel_names(void) { return KERNELS(NAME); }
EXPORT(args) double *wasm_args(void) { return args; }
EXPORT(message) char *wasm_message(void) { return message; }
EXPORT(message_bytes) int wasm_message_bytes(void) { return MESSAGE_BYTES; }
EXPORT(max_parts) int wasm_max_parts(void) { return MAX_PARTS; }
EXPORT(scratch_bytes) int wasm_scratch_bytes(void) { return SCRATCH_BYTES; }

static void run_parts(void *scratch) {
  work w = {.scratch = scratch};
  while (job_claim(&current, &w)) {
    current.run(current.args, w);
    job_finish_part(&current);
  }
}

/* ---- workers ------------------------------------------------------------------------------------------------------ */

static void wake_caller(void) {
  if (load_now(&waiting)) __builtin_wasm_memory_atomic_notify(&current.done, 1);
}

static int spin_for_work(void) {
  for (int i = 0; i < SPINS; i++)
    if (job_open(&current) || load_now(&stop)) return 1;
  return 0;
}

/* A job posted between the look at the ticket and the wait changes the generation, and the wait returns at once. */
static void sleep_for_work(void) {
  int32_t before = load_now(generation());
  __atomic_fetch_add(&sleepers, 1, __ATOMIC_SEQ_CST);
  if (!job_open(&current) && !load_now(&stop)) __builtin_wasm_memory_atomic_wait32(generation(), before, -1);
  __atomic_fetch_sub(&sleepers, 1, __ATOMIC_SEQ_CST);
}

EXPORT(work_until_stopped) void wasm_work_until_stopped(void *scratch) {
  while (!load_now(&stop)) {
    run_parts(scratch);
    wake_caller();
    if (!spin_for_work()) sleep_for_work();
  }
}

EXPORT(finish_failed_part) void wasm_finish_failed_part(void) {
  __atomic_store_n(&failed, 1, __ATOMIC_SEQ_CST);
  job_finish_part(&current);
  wake_caller();
}

/* ---- the main thread ---------------------------------------------------------------------------------------------- */

static void wait_until_done(int parts) {
  for (int i = 0; i < SPINS; i++)
    if (job_done(&current) == parts) return;
  __atomic_store_n(&waiting, 1, __ATOMIC_SEQ_CST);
  for (int32_t done; (done = job_done(&current)) != parts;) __builtin_wasm_memory_atomic_wait32(&current.done, done, -1);
  __atomic_store_n(&waiting, 0, __ATOMIC_SEQ_CST);
}

/* Runs kernel `index` in `parts` parts to its end. 1: a part trapped in a worker, and `message` says how. */
EXPORT(run) int wasm_run(int index, int parts, void *scratch) {
  if (parts == 1) {
    qsparse_kernels_wasm[index](args, (work){.part = 0, .parts = 1, .scratch = scratch});
    return 0;
  }
  failed = 0;
  job_post(&current, qsparse_kernels_wasm[index], args, parts);
  if (load_now(&sleepers) > 0) __builtin_wasm_memory_atomic_notify(generation(), ~0u);
  run_parts(scratch);
  wait_until_done(parts);
  return load_now(&failed);
}

/* After a trap on the main thread inside `run` with parts > 1: takes the parts that nobody has claimed out of the job
 * and waits for the others. */
EXPORT(abandon) void wasm_abandon(int parts) {
  work w;
  job_finish_part(&current);
  while (job_claim(&current, &w)) job_finish_part(&current);
  wait_until_done(parts);
}

EXPORT(stop) void wasm_stop(void) {
  __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(generation(), 1, __ATOMIC_SEQ_CST);
  __builtin_wasm_memory_atomic_notify(generation(), ~0u);
}
