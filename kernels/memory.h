/* Blocks of zeroed, 64-byte aligned memory for tensors. */
#ifndef QSPARSE_MEMORY_H
#define QSPARSE_MEMORY_H

#include <stddef.h>

typedef struct block block;

/* One owner; NULL if the memory cannot be had. */
block *block_create(size_t bytes);
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
