/* The layouts of a row of weights, as src/tensor/weight-matrix.ts documents them. */
#ifndef QSPARSE_WEIGHT_ROW_H
#define QSPARSE_WEIGHT_ROW_H

#include "kernel.h"

enum { WEIGHT_F32, WEIGHT_BF16, WEIGHT_INT8, WEIGHT_TERNARY };

/* 128 ternary weights in 32 bytes: byte j holds columns j, j + 32, j + 64, j + 96, from its low bits to its high ones. */
#define TERNARY_CHUNK_COLS 128
#define TERNARY_CHUNK_BYTES 32

INLINE float bf16_at(const uint8_t *row, int64_t c) {
  const union { uint32_t bits; float value; } x = {(uint32_t)((const uint16_t *)row)[c] << 16};
  return x.value;
}

/* -1, 0 or 1 */
INLINE int32_t ternary_at(const uint8_t *row, int64_t c) {
  const int64_t within = c % TERNARY_CHUNK_COLS;
  const uint8_t byte = row[c / TERNARY_CHUNK_COLS * TERNARY_CHUNK_BYTES + within % TERNARY_CHUNK_BYTES];
  return (byte >> (2 * (within / TERNARY_CHUNK_BYTES)) & 3) - 1;
}

#endif
