/* Memory for tensors: zeroed blocks, and parts of files.
 *
 * Large blocks come from mmap, aligned to and advised for huge pages: a weight matrix of 64 MB in 4 KB pages needs more
 * translations than the CPU holds, and a sparse product jumps between its rows. Each large block starts at another offset
 * inside its first 64 KB: if all started on the same boundary, equal positions of the operands of one kernel would
 * compete for the same few cache sets.
 *
 * A part of a file is mapped privately and writable: pages are those of the system's cache, one copy for all processes, until
 * somebody writes to one, who then gets a copy of his own. Mapped read-only, a stray write of JavaScript, where typed arrays cannot be
 * protected, would end the process. The mapping begins at the offset in a huge page that it has in the file: where the file system keeps a file in
 * huge pages, they are mapped as such. Nothing can be done here about a file that is cut short while it is mapped: the system
 * then ends the process with SIGBUS. Whoever writes such files must replace them, not change them.
 *
 * A block has two lives: its memory, which an explicit free returns to the system at once, and its record, which lives
 * until JavaScript's garbage collector drops the ArrayBuffer (whose finalizer needs to know what happened).
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE_BYTES ((size_t)4 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define HEADER_BYTES 64
/* A step of a page and four lines: 16 different page colours and 16 different sets inside a page. */
#define STAGGER_STEP (4096 + 256)
#define STAGGERS 16
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#define MAGIC 0x6b636f6c62717371u

typedef struct {
  uint64_t magic;
  block *owner;
} header;

struct block {
  int owners; /* all on the thread of one Node environment */
  char *data; /* NULL once freed */
  size_t bytes;
  void *base; /* what calloc or mmap gave */
  size_t mapped_bytes; /* 0: from calloc */
};

static size_t round_up(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

static int map_large(block *b) {
  static uint32_t count; /* shared by all threads: only the spread matters */
  size_t offset = HEADER_BYTES + STAGGER_STEP * (__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED) % STAGGERS);
  size_t mapped = round_up(b->bytes + offset, HUGE_PAGE) + HUGE_PAGE;
  char *base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return 0;
  char *aligned = (char *)round_up((uintptr_t)base, HUGE_PAGE);
#ifdef MADV_HUGEPAGE
  madvise(aligned, round_up(b->bytes + offset, HUGE_PAGE), MADV_HUGEPAGE);
#endif
  b->base = base;
  b->mapped_bytes = mapped;
  b->data = aligned + offset;
  return 1;
}

/* Aligned by hand: posix_memalign cannot reuse the hole that a block of the same size left. */
static int allocate_small(block *b) {
  b->base = calloc(1, HEADER_BYTES + 64 + b->bytes);
  if (b->base == NULL) return 0;
  b->data = (char *)round_up((uintptr_t)b->base + HEADER_BYTES, 64);
  return 1;
}

block *block_create(size_t bytes) {
  block *b = calloc(1, sizeof *b);
  if (b == NULL) return NULL;
  b->owners = 1;
  b->bytes = bytes;
  if (!(bytes >= LARGE_BYTES ? map_large(b) : allocate_small(b))) {
    free(b);
    return NULL;
  }
  *(header *)(b->data - HEADER_BYTES) = (header){MAGIC, b};
  return b;
}

size_t block_page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* The file behind a page of its own, which has the header of the block at its end. */
static int map_part(block *b, int file, uint64_t offset) {
  const size_t page = block_page_bytes(), in_huge_page = offset % HUGE_PAGE;
  const size_t mapped = b->bytes + in_huge_page + page + HUGE_PAGE;
  char *base = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return 0;
  b->base = base;
  b->mapped_bytes = mapped;
  b->data = (char *)round_up((uintptr_t)base + page, HUGE_PAGE) + in_huge_page;
  const int flags = MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED;
  if (mprotect(b->data - page, page, PROT_READ | PROT_WRITE) == 0 &&
      mmap(b->data, b->bytes, PROT_READ | PROT_WRITE, flags, file, (off_t)offset) != MAP_FAILED) {
#ifdef MADV_HUGEPAGE
    madvise(b->data, b->bytes, MADV_HUGEPAGE);
#endif
    return 1;
  }
  const int error = errno;
  munmap(base, mapped);
  errno = error;
  return 0;
}

block *block_map(int file, uint64_t offset, size_t bytes) {
  struct stat status;
  if (fstat(file, &status) != 0) return NULL;
  if (offset > (uint64_t)status.st_size || bytes > (uint64_t)status.st_size - offset) {
    errno = EOVERFLOW;
    return NULL;
  }
  block *b = calloc(1, sizeof *b);
  if (b == NULL) return NULL;
  b->owners = 1;
  b->bytes = bytes;
  if (!map_part(b, file, offset)) {
    free(b);
    return NULL;
  }
  *(header *)(b->data - HEADER_BYTES) = (header){MAGIC, b};
  return b;
}

void *block_data(block *b) { return b->data; }
size_t block_bytes(block *b) { return b->bytes; }

block *block_of(void *data) {
  if (data == NULL || (uintptr_t)data % 64 != 0) return NULL;
  header *h = (header *)((char *)data - HEADER_BYTES);
  return h->magic == MAGIC && h->owner->data == data ? h->owner : NULL;
}

void block_free_data(block *b) {
  if (b->data == NULL) return;
  ((header *)(b->data - HEADER_BYTES))->magic = 0;
  b->data = NULL;
  if (b->mapped_bytes > 0) munmap(b->base, b->mapped_bytes);
  else free(b->base);
}

void block_retain(block *b) { b->owners++; }

void block_release(block *b) {
  if (--b->owners > 0) return;
  block_free_data(b);
  free(b);
}
