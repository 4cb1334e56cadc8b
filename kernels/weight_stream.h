/* Rows of weights streamed from memory, for one token (weight_matvec.c) and for a few (weight_few.c).
 *
 * A single row after another is slow, because a core keeps few misses in flight and the hardware foresees streams, not jumps: STREAMS rows
 * are read side by side, and where the piece of a row is short, the rows two groups ahead are asked into L2 meanwhile.
 */
#ifndef QSPARSE_WEIGHT_STREAM_H
#define QSPARSE_WEIGHT_STREAM_H

#include "weight_row.h"

#define STREAMS 8
#define SHORT_PIECE 4096 /* bytes: the hardware does not come to speed on shorter runs */

typedef struct {
  const uint8_t *w;
  int64_t rowBytes;
} stored_rows;

#define AHEAD (2 * STREAMS)

/* A group of rows, and the rows that are asked into L2 while it is added. */
typedef struct {
  const uint8_t *row[STREAMS], *next[STREAMS];
} group;

INLINE group group_of(stored_rows rows, const int32_t *index, int64_t i, int64_t count) {
  group g;
#pragma GCC unroll 8
  for (int s = 0; s < STREAMS; s++) {
    g.row[s] = rows.w + index[i + s] * rows.rowBytes;
    g.next[s] = rows.w + index[MIN(i + s + AHEAD, count - 1)] * rows.rowBytes;
  }
  return g;
}

/* Of each row ahead, the line at `byte`. */
INLINE void ask_ahead(const group *g, int64_t byte) {
#pragma GCC unroll 8
  for (int s = 0; s < STREAMS; s++) __builtin_prefetch(g->next[s] + byte, 0, 2);
}

INLINE vf load_weights(int bf16, const uint8_t *row, int64_t c) {
  return bf16 ? load_bf16(row + 2 * c) : load((const float *)row + c);
}

INLINE float weight_at(int bf16, const uint8_t *row, int64_t c) { return bf16 ? bf16_at(row, c) : ((const float *)row)[c]; }

INLINE void clear_sums(float *sums, int64_t cols) {
  for (int64_t c = 0; c < cols; c++) sums[c] = 0;
}

/* out [cols] += sums. What is accumulated upon may be far larger than the terms (a residual stream), so that it is rounded once. */
INLINE void add_sums(const float *sums, float *out, int64_t cols) {
  for (int64_t c = 0; c < cols; c++) out[c] += sums[c];
}

/* out [cols] += sums * scale * xScale; the sums in slot order. */
INLINE void add_scaled(const vi *sums, const float *scale, float xScale, float *out, int64_t cols) {
  const int32_t *sum = (const int32_t *)sums;
  for (int64_t c = 0; c < cols; c += 4) {
    const int32_t *four = sum + c / VB * VB + SLOT_OF(c % VB);
    for (int64_t i = 0; i < MIN(4, cols - c); i++) out[c + i] += (float)four[i] * scale[c + i] * xScale;
  }
}

/* Codes are at most 2, inputs at most 127: a step adds at most 2 * 2 * 127 = 508 to 16 bits, in which 64 steps are 32512. */
#define PAIR_STEPS 64

/* sums32 += sums16, which become 0. Both in the order of ternary_slot. */
INLINE void widen_sums(tw *sums16, int32_t *sums32, int64_t vectors) {
  for (int64_t i = 0; i < vectors; i++) {
    const int16_t *from = (const int16_t *)&sums16[i];
    for (int64_t j = 0; j < TB / 2; j++) sums32[i * (TB / 2) + j] += from[j];
    sums16[i] = (tw){0};
  }
}

/* out [cols] (+)= (sums - total) * scale * xScale: each code was one too large, by which the sum of the inputs was added. */
INLINE void store_ternary(const int32_t *sums, int32_t total, const float *scale, float xScale, float *out, int64_t cols, int add) {
  for (int64_t c = 0; c < cols; c++) {
    const int32_t sum = sums[c / TERNARY_CHUNK_COLS * TERNARY_CHUNK_COLS + ternary_slot(c % TERNARY_CHUNK_COLS)] - total;
    out[c] = (add ? out[c] : 0) + (float)sum * scale[c] * xScale;
  }
}

#endif
