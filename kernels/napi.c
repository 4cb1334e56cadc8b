/* The N-API binding (version 8: Node 20 and later, one binary for all): memory, the thread pool and `run`.
 *
 * exports: kernelNames, isas (compiled in), supportedIsas (of these, what the CPU runs), pageBytes,
 *   create(threads, isa | null) -> { isa, bf16, args: ArrayBuffer, run(kernelIndex, parts), dispose() },
 *   allocate(bytes) -> { buffer: ArrayBuffer, address }, map(file, offset, bytes) -> the same, free(buffer).
 *
 * Nothing is global but constants: each Node thread that loads the addon, and each `create`, stands alone. What is created
 * ends with `dispose` or, at the latest, with the environment (a clean-up hook), so that no thread outlives the code it runs.
 * Shapes, dtypes and thread counts are checked in TypeScript; only what would crash the process is checked here.
 */
#define NAPI_VERSION 8
#include <node_api.h>

#include "dispatch.h"
#include "job.h"
#include "memory.h"
#include "pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARG_SLOTS 32
#define MAX_THREADS 256

/* One backend. It is freed with the environment, not with `dispose`: JavaScript may still hold `run` and `args`. */
typedef struct {
  double args[ARG_SLOTS] __attribute__((aligned(64)));
  pool *pool; /* NULL once disposed of */
  const kernel *kernels;
} context;

#define TRY(call)                                                                                                      \
  do {                                                                                                                 \
    if ((call) != napi_ok) return fail_last(env);                                                                      \
  } while (0)

static napi_value fail(napi_env env, const char *message) {
  napi_throw_error(env, NULL, message);
  return NULL;
}

static napi_value fail_last(napi_env env) {
  const napi_extended_error_info *info;
  bool pending = false;
  napi_get_last_error_info(env, &info);
  const char *message = info->error_message ? info->error_message : "a Node-API call failed";
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, NULL, message);
  return NULL;
}

static napi_status set_number(napi_env env, napi_value object, const char *key, double number) {
  napi_value value;
  napi_status status = napi_create_double(env, number, &value);
  return status != napi_ok ? status : napi_set_named_property(env, object, key, value);
}

static napi_status set_string(napi_env env, napi_value object, const char *key, const char *text) {
  napi_value value;
  napi_status status = napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return status != napi_ok ? status : napi_set_named_property(env, object, key, value);
}

static napi_status set_flag(napi_env env, napi_value object, const char *key, int flag) {
  napi_value value;
  napi_status status = napi_get_boolean(env, flag != 0, &value);
  return status != napi_ok ? status : napi_set_named_property(env, object, key, value);
}

static napi_status set_function(napi_env env, napi_value object, const char *key, napi_callback callback, void *data) {
  napi_value value;
  napi_status status = napi_create_function(env, key, NAPI_AUTO_LENGTH, callback, data, &value);
  return status != napi_ok ? status : napi_set_named_property(env, object, key, value);
}

/* ---- run: called for every kernel, so without a wrapped object to look up ---------------------------------------- */

static napi_value run(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  size_t argc = 2;
  context *c;
  int32_t index, parts;
  napi_get_cb_info(env, info, &argc, argv, NULL, (void **)&c);
  TRY(napi_get_value_int32(env, argv[0], &index));
  TRY(napi_get_value_int32(env, argv[1], &parts));
  if (index < 0 || index >= KERNEL_COUNT) return fail(env, "no kernel has this index");
  if (parts < 1 || parts > MAX_PARTS) return fail(env, "the number of parts is out of range");
  if (c->pool == NULL) return fail(env, "the backend was disposed of");
  pool_run(c->pool, c->kernels[index], c->args, parts);
  return NULL;
}

/* ---- create, dispose ---------------------------------------------------------------------------------------------- */

static void stop(context *c) {
  if (c->pool != NULL) pool_destroy(c->pool);
  c->pool = NULL;
}

static void destroy_context(void *data) {
  stop(data);
  free(data);
}

static napi_value dispose(napi_env env, napi_callback_info info) {
  context *c;
  TRY(napi_get_cb_info(env, info, NULL, NULL, NULL, (void **)&c));
  stop(c);
  return NULL;
}

/* The instruction set of the second argument, a string or null. */
static const isa *wanted_isa(napi_env env, napi_value value) {
  char name[32];
  size_t length;
  napi_valuetype type;
  napi_typeof(env, value, &type);
  if (type != napi_string) return isa_choose(NULL);
  if (napi_get_value_string_utf8(env, value, name, sizeof name, &length) != napi_ok) return NULL;
  return isa_choose(name);
}

static context *new_context(int threads, const isa *set) {
  void *memory;
  if (posix_memalign(&memory, 64, sizeof(context))) return NULL;
  memset(memory, 0, sizeof(context));
  context *c = memory;
  c->kernels = set->kernels;
  c->pool = pool_create(threads);
  if (c->pool != NULL) return c;
  free(c);
  return NULL;
}

static napi_value create(napi_env env, napi_callback_info info) {
  napi_value argv[2], result, args;
  size_t argc = 2;
  int32_t threads;
  TRY(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  TRY(napi_get_value_int32(env, argv[0], &threads));
  if (threads < 1 || threads > MAX_THREADS) return fail(env, "the number of threads is out of range");
  const isa *set = wanted_isa(env, argv[1]);
  if (set == NULL) return fail(env, "this CPU or this build lacks the instruction set");
  context *c = new_context(threads, set);
  if (c == NULL) return fail(env, "the threads cannot be started: the system is out of memory or of threads");
  if (napi_add_env_cleanup_hook(env, destroy_context, c) != napi_ok) {
    destroy_context(c);
    return fail_last(env);
  }
  TRY(napi_create_object(env, &result));
  TRY(napi_create_external_arraybuffer(env, c->args, sizeof c->args, NULL, NULL, &args));
  TRY(napi_set_named_property(env, result, "args", args));
  TRY(set_string(env, result, "isa", set->name));
  TRY(set_flag(env, result, "bf16", set->bf16));
  TRY(set_function(env, result, "run", run, c));
  TRY(set_function(env, result, "dispose", dispose, c));
  return result;
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static void release_block(napi_env env, void *data, void *b) {
  (void)env;
  (void)data;
  block_release(b);
}

/* { buffer, address } of a block, whose one owner becomes the buffer. */
static napi_value buffer_of(napi_env env, block *b) {
  napi_value result, buffer;
  const double address = (double)(uintptr_t)block_data(b);
  /* Where Node refuses (it has a largest size), it may have called release_block, or not: hence the second owner. Without the
   * call the record of the block is lost, which is small. */
  block_retain(b);
  napi_status status = napi_create_external_arraybuffer(env, block_data(b), block_bytes(b), release_block, b, &buffer);
  if (status != napi_ok) block_free_data(b);
  block_release(b);
  if (status != napi_ok) return fail_last(env);
  TRY(napi_create_object(env, &result));
  TRY(napi_set_named_property(env, result, "buffer", buffer));
  TRY(set_number(env, result, "address", address));
  return result;
}

static napi_value allocate(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  int64_t bytes;
  TRY(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  TRY(napi_get_value_int64(env, argv[0], &bytes));
  if (bytes < 1) return fail(env, "the number of bytes is out of range");
  block *b = block_create((size_t)bytes);
  if (b == NULL) return fail(env, "out of memory");
  return buffer_of(env, b);
}

static napi_value map_file(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  size_t argc = 3;
  int32_t file;
  int64_t offset, bytes;
  TRY(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  TRY(napi_get_value_int32(env, argv[0], &file));
  TRY(napi_get_value_int64(env, argv[1], &offset));
  TRY(napi_get_value_int64(env, argv[2], &bytes));
  if (offset < 0 || offset % (int64_t)block_page_bytes() != 0) return fail(env, "the offset is not that of a page");
  if (bytes < 1) return fail(env, "the number of bytes is out of range");
  block *b = block_map(file, (uint64_t)offset, (size_t)bytes);
  if (b == NULL) return fail(env, errno == EOVERFLOW ? "the file ends before" : strerror(errno));
  return buffer_of(env, b);
}

static napi_value free_buffer(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1, bytes;
  void *data;
  TRY(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  TRY(napi_get_arraybuffer_info(env, argv[0], &data, &bytes));
  block *b = block_of(data);
  if (b == NULL || block_bytes(b) != bytes) return fail(env, "the buffer was freed before or comes from elsewhere");
  /* Detached first: from here on JavaScript sees an array of length 0 instead of memory that is gone. Detaching leads
   * to release_block, at once or much later: hence the second owner. */
  block_retain(b);
  napi_status detached = napi_detach_arraybuffer(env, argv[0]);
  if (detached == napi_ok) block_free_data(b);
  block_release(b);
  if (detached != napi_ok) return fail_last(env);
  return NULL;
}

/* ---- module ------------------------------------------------------------------------------------------------------- */

static napi_status set_names(napi_env env, napi_value exports, const char *key, const char *const *names, int count) {
  napi_value list, name;
  napi_status status = napi_create_array_with_length(env, (size_t)count, &list);
  for (int i = 0; i < count && status == napi_ok; i++) {
    status = napi_create_string_utf8(env, names[i], NAPI_AUTO_LENGTH, &name);
    if (status == napi_ok) status = napi_set_element(env, list, (uint32_t)i, name);
  }
  return status != napi_ok ? status : napi_set_named_property(env, exports, key, list);
}

NAPI_MODULE_INIT() {
  const char *compiled[8], *supported[8];
  int supported_count = 0;
  for (int i = 0; i < isa_count; i++) {
    compiled[i] = isas[i].name;
    if (isas[i].supported()) supported[supported_count++] = isas[i].name;
  }
  TRY(set_names(env, exports, "kernelNames", kernel_names, KERNEL_COUNT));
  TRY(set_names(env, exports, "isas", compiled, isa_count));
  TRY(set_names(env, exports, "supportedIsas", supported, supported_count));
  TRY(set_number(env, exports, "pageBytes", (double)block_page_bytes()));
  TRY(set_function(env, exports, "create", create, NULL));
  TRY(set_function(env, exports, "allocate", allocate, NULL));
  TRY(set_function(env, exports, "map", map_file, NULL));
  TRY(set_function(env, exports, "free", free_buffer, NULL));
  return exports;
}
