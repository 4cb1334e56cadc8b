/* The AVX-512 units behind an emulator: tables like those of kernels/all.c whose kernels hand the call to emulator.py.
 *
 * Linked into the addon in the place of the real tables (scripts/emulate-avx512.mjs), so that the test suite runs the very objects that
 * a processor with AVX-512 would run, on any x64. Python runs inside of this process: the emulated processor works on the
 * memory of the tests itself.
 */
#define _GNU_SOURCE
#include "../../kernels/kernel.h"
#include "../../kernels/kernel_list.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef void (*emulator)(const void *function, const double *args, int64_t parts, void *scratch, const void *thread);

/* emulator.py puts its entry here. */
__attribute__((visibility("default"))) emulator qsparse_emulator;

/* The emulator's package was linked with a newer C library than some systems have; in those it finds the two names here. */
__attribute__((visibility("default"))) unsigned long long __isoc23_strtoull(const char *text, char **end, int base) {
  return strtoull(text, end, base);
}
__attribute__((visibility("default"))) int __isoc23_sscanf(const char *text, const char *format, ...) {
  va_list values;
  va_start(values, format);
  const int count = vsscanf(text, format, values);
  va_end(values);
  return count;
}

/* Nothing that a test could recover from. */
static void die(const char *what) {
  fprintf(stderr, "[emulate] %s\n", what);
  abort();
}

static void *symbol_of(void *library, const char *name) {
  void *symbol = dlsym(library, name);
  if (symbol == NULL) die(dlerror());
  return symbol;
}

/* The emulator's destructors free what is not theirs: the process ends before they run. */
static void end_at_once(int status, void *unused) {
  (void)unused;
  fflush(NULL);
  _exit(status);
}

static void start(void) {
  Dl_info self;
  if (!dladdr(&qsparse_emulator, &self) || dlopen(self.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD) == NULL)
    die("the addon cannot be found");
  /* Global: Python's modules look for Python's symbols in the process. */
  void *python = dlopen(getenv("EMULATE_PYTHON"), RTLD_NOW | RTLD_GLOBAL);
  if (python == NULL) die(dlerror());
  char program[4096];
  snprintf(program, sizeof program, "import sys\nsys.path[:0] = %s\nimport emulator\nemulator.install('%s')\n",
           getenv("EMULATE_PATH"), self.dli_fname);
  ((void (*)(int))symbol_of(python, "Py_InitializeEx"))(0);
  if (((int (*)(const char *))symbol_of(python, "PyRun_SimpleString"))(program) != 0) die("emulator.py failed");
  on_exit(end_at_once, NULL);
  /* Lets go of the interpreter, for whichever thread comes next. */
  ((void *(*)(void))symbol_of(python, "PyEval_SaveThread"))();
}

static void emulate(kernel run, const double *args, work w) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
  pthread_once(&once, start);
  pthread_mutex_lock(&one_at_a_time);
  qsparse_emulator((const void *)run, args, (int64_t)w.parts << 32 | w.part, w.scratch, (const void *)pthread_self());
  pthread_mutex_unlock(&one_at_a_time);
}

#define INDEX(name) INDEX_##name,
enum { KERNELS(INDEX) };

extern const kernel qsparse_kernels_avx512[], qsparse_kernels_avx512bf16[];

#define STUB(unit, name)                                                                                               \
  static void unit##_##name(const double *args, work w) {                                                              \
    emulate(qsparse_kernels_##unit[INDEX_##name], args, w);                                                            \
  }
#define AVX512(name) STUB(avx512, name)
#define AVX512BF16(name) STUB(avx512bf16, name)
KERNELS(AVX512)
KERNELS(AVX512BF16)

#define ENTRY_AVX512(name) avx512_##name,
#define ENTRY_AVX512BF16(name) avx512bf16_##name,
extern const kernel emulated_avx512[KERNEL_COUNT], emulated_avx512bf16[KERNEL_COUNT];
const kernel emulated_avx512[KERNEL_COUNT] = {KERNELS(ENTRY_AVX512)};
const kernel emulated_avx512bf16[KERNEL_COUNT] = {KERNELS(ENTRY_AVX512BF16)};
