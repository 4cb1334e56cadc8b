/* Blocks of zeroed, 64-byte aligned memory for tensors, and blocks that are parts of files. */
#ifndef QSPARSE_MEMORY_H
#define QSPARSE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

typedef struct block block;

/* One owner; NULL if the memory cannot be had. */
block *block_create(size_t bytes);
/* `bytes` of an open file from `offset` on, a multiple of block_page_bytes(): read when they are touched, shared with whoever maps them too. What is
 * written to them is seen by nobody else. One owner; NULL, and errno, if the file ends before or cannot be mapped. */
block *block_map(int file, uint64_t offset, size_t bytes);
size_t block_page_bytes(void);
void *block_data(block *b);
size_t block_bytes(block *b);
/* The block that `data`, as given by block_data, belongs to; NULL if it does not look like one. */
block *block_of(void *data);
/* Returns the memory to the system at once; the record stays until the last owner has gone. */
void block_free_data(block *b);
/* One owner more, one owner less; the last one takes the memory, where it still is there, and the record along. */
void block_retain(block *b);
void block_release(block *b);

#endif
