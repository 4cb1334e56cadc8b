/* Keys and values of earlier tokens: storing those of new ones, and causal attention of new queries over all of them.
 *
 * The layout is that of src/tensor/kv-slots.ts: the keys of 64 positions side by side, values row after row. All query heads that share a
 * key/value head meet it together, as rows: those of one token in decoding, of many in a prompt. A block of 64 keys is widened to
 * f32 (f32 is read where it lies), then scores = q K, softmax with a running maximum and sum (arXiv 2205.14135), out += p V.
 *
 * No operation adds across rows, and blocks of keys begin at multiples of 64 positions: a row has the same bits whatever rows it is
 * computed with, so that queries are divided between parts, chunks and batches as suits. A key that a row does not see
 * has p = 0 and adds nothing, if its values are finite.
 *
 * items [n, 4]: first row, rows, position of the first, slot. type: 0 f32, 1 f16, 2 int8; the scales are 0 but for int8.
 *
 * store_kv:         qkv, items, keys, values, keyScale, valueScale, nItems, positions, nHeads, nKvHeads, headDim, type
 *                                                                                key/value heads and rows are shared
 * attention_cached: the same, out, window                    window 0: no limit        blocks of queries are shared
 */
#include "attention_product.h"
#include "narrow.h"
#include "round_bytes.h"
#include "vector_math.h"

enum { KV_F32, KV_F16, KV_INT8 };

#define KV_BLOCK 64   /* positions whose keys lie side by side */
#define KV_QUERIES 24 /* rows of a block: 4 x 6 of the product, and whole groups of 2, 3, 4, 6, 8 or 12 query heads */
#define KV_MAX_HEAD_DIM 1024
#define KV_LEAST (-3.402823466e38f) /* below every score; not infinite, so that exp(-infinity - it) is 0 */

typedef struct {
  const float *qkv;
  const int32_t *items;
  uint8_t *keys, *values;
  float *keyScale, *valueScale;
  int64_t nItems, positions, nHeads, nKvHeads, headDim, padded, type, elementBytes;
  float *out;
  int64_t window;
} kv_call;

static kv_call kv_call_of(const double *args) {
  const int64_t type = INT(11);
  return (kv_call){
      .qkv = PF(0),
      .items = PI(1),
      .keys = (uint8_t *)PF(2),
      .values = (uint8_t *)PF(3),
      .keyScale = PF(4),
      .valueScale = PF(5),
      .nItems = INT(6),
      .positions = INT(7),
      .nHeads = INT(8),
      .nKvHeads = INT(9),
      .headDim = INT(10),
      .padded = (INT(10) + 31) / 32 * 32,
      .type = type,
      .elementBytes = type == KV_F32 ? 4 : type == KV_F16 ? 2 : 1,
      .out = PF(12),
      .window = INT(13),
  };
}

/* ---- storing ---------------------------------------------------------------------------------------------------- */

/* x [size] in 8 bits; returns the scale. Not a number where x is none: then the scale is, and all that is read with it. */
static float kv_narrow_bytes(const float *x, int64_t size, int8_t *to) {
  float largest = 0, sum = 0;
  for (int64_t d = 0; d < size; d++) {
    largest = MAX(largest, __builtin_fabsf(x[d]));
    sum += x[d] * 0;
  }
  const float factor = largest > 0 ? 127.0f / largest : 0;
  int64_t d = 0;
  for (; d + VL <= size; d += VL) store_bytes(to + d, quantize_lanes(load(x + d), factor));
  for (; d < size; d++) to[d] = quantize_one(x[d], factor);
  return largest / 127.0f + sum;
}

/* x [size] at to[0], to[stride], ... in the type of the cache; the scale of 8 bits goes to *scale. */
static void kv_store_vector(int64_t type, const float *x, int64_t size, uint8_t *to, int64_t stride, float *scale) {
  if (type == KV_F32) {
    for (int64_t d = 0; d < size; d++) ((float *)to)[d * stride] = x[d];
  } else if (type == KV_F16) {
    for (int64_t d = 0; d < size; d++) ((uint16_t *)to)[d * stride] = narrow_to_half(x[d]);
  } else {
    int8_t bytes[KV_MAX_HEAD_DIM];
    *scale = kv_narrow_bytes(x, size, bytes);
    for (int64_t d = 0; d < size; d++) ((int8_t *)to)[d * stride] = bytes[d];
  }
}

static void store_kv(const double *args, work w) {
  const kv_call c = kv_call_of(args);
  const int64_t width = (c.nHeads + 2 * c.nKvHeads) * c.headDim;
  const int32_t *last = c.items + 4 * (c.nItems - 1);
  const int64_t rows = last[0] + last[1];
  int64_t begin, end;
  share(c.nKvHeads * rows, 1, w, &begin, &end);
  const int32_t *item = c.items;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t head = unit / rows, row = unit % rows;
    if (row == 0 || unit == begin) item = c.items;
    while (row >= item[0] + item[1]) item += 4;
    const int64_t place = (item[2] + row - item[0]) % c.positions;
    const int64_t run = (item[3] * c.nKvHeads + head) * c.positions; /* where the head of this slot begins */
    const float *key = c.qkv + row * width + (c.nHeads + head) * c.headDim, *value = key + c.nKvHeads * c.headDim;
    const int64_t keyAt = (run + place / KV_BLOCK * KV_BLOCK) * c.headDim + place % KV_BLOCK;
    const int64_t valueAt = (run + place) * c.padded;
    kv_store_vector(c.type, key, c.headDim, c.keys + keyAt * c.elementBytes, KV_BLOCK, c.keyScale + run + place);
    kv_store_vector(c.type, value, c.headDim, c.values + valueAt * c.elementBytes, 1, c.valueScale + run + place);
  }
}

/* ---- attention -------------------------------------------------------------------------------------------------- */

/* [rows, cols] of a stored matrix in f32: where it lies, or widened in the tile. Rows are `stride` elements apart in both. */
static const float *kv_widen(const kv_call *c, const uint8_t *from, int64_t rows, int64_t cols, int64_t stride, float *tile) {
  if (c->type == KV_F32) return (const float *)from;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t begin = r * stride, end = begin + cols;
    if (c->type == KV_F16) for (int64_t i = begin; i < end; i += VL) store(tile + i, widen_halves((const uint16_t *)from + i));
    else for (int64_t i = begin; i < end; i += VL) store(tile + i, widen_bytes((const int8_t *)from + i));
  }
  return tile;
}

INLINE void kv_prefetch(const uint8_t *from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

/* The scores of a row in a block become p = exp(score - max), 0 but for the keys from .. to; max, sum and the output so far follow the
 * new maximum. With scales of 8 bits, those of the keys are part of the score, and p comes with those of the values. */
static void kv_softmax(float *scores, int64_t from, int64_t to, const float *keyScale, const float *valueScale, float *max,
                       vf *sum, float *out, int64_t padded) {
  vf score[KV_BLOCK / VL], best = splat(*max);
  vi lane;
  for (int i = 0; i < VL; i++) lane[i] = i;
  for (int v = 0; v < KV_BLOCK / VL; v++, lane += VL) {
    vf s = load(scores + v * VL);
    if (keyScale) s *= load(keyScale + v * VL);
    score[v] = choose((lane >= (int32_t)from) & (lane < (int32_t)to), s, splat(-__builtin_inff()));
    best = larger(score[v], best);
  }
  const float top = max_lanes(best);
  if (top != *max) {
    const float shrink = exp_lanes(splat(*max - top))[0];
    *max = top;
    *sum *= shrink;
    for (int64_t d = 0; d < padded; d += VL) store(out + d, load(out + d) * shrink);
  }
  for (int v = 0; v < KV_BLOCK / VL; v++) {
    vf p = exp_lanes(score[v] - top);
    *sum += p;
    if (valueScale) p *= load(valueScale + v * VL);
    store(scores + v * VL, p);
  }
}

/* Rows first .. first + rows of the queries of one key/value head: row i * group + g is query head g of its group in token i. */
static void kv_attend(const kv_call *c, const int32_t *item, int64_t head, int64_t first, int64_t rows, float *scratch) {
  const int64_t headDim = c->headDim, padded = c->padded, group = c->nHeads / c->nKvHeads;
  const int64_t width = (c->nHeads + 2 * c->nKvHeads) * headDim;
  float *q = scratch, *out = q + KV_QUERIES * headDim, *scores = out + KV_QUERIES * padded;
  float *keyTile = scores + KV_QUERIES * KV_BLOCK, *valueTile = keyTile + headDim * KV_BLOCK;
  float max[KV_QUERIES];
  vf sum[KV_QUERIES];

  const float factor = attention_scale(headDim);
  for (int64_t r = 0; r < rows; r++) {
    const int64_t token = (first + r) / group, h = head * group + (first + r) % group;
    const float *from = c->qkv + (item[0] + token) * width + h * headDim;
    for (int64_t d = 0; d < headDim; d++) q[r * headDim + d] = from[d] * factor;
    for (int64_t d = 0; d < padded; d++) out[r * padded + d] = 0;
    max[r] = KV_LEAST;
    sum[r] = splat(0);
  }

  const int64_t firstPosition = item[2] + first / group, lastPosition = item[2] + (first + rows - 1) / group;
  const int64_t oldest = c->window ? MAX(0, firstPosition - c->window + 1) : 0;
  const int64_t run = (item[3] * c->nKvHeads + head) * c->positions;
  for (int64_t k0 = oldest / KV_BLOCK * KV_BLOCK; k0 <= lastPosition; k0 += KV_BLOCK) {
    const int64_t begin = MAX(0, oldest - k0), end = MIN(KV_BLOCK, lastPosition + 1 - k0);
    const int64_t place = run + k0 % c->positions, cols = attention_pad(end);
    const uint8_t *keys = c->keys + place * headDim * c->elementBytes;
    const uint8_t *values = c->values + (place + begin) * padded * c->elementBytes;

    if (k0 + KV_BLOCK <= lastPosition) {
      const int64_t next = run + (k0 + KV_BLOCK) % c->positions;
      kv_prefetch(c->keys + next * headDim * c->elementBytes, headDim * KV_BLOCK * c->elementBytes);
      kv_prefetch(c->values + next * padded * c->elementBytes, padded * KV_BLOCK * c->elementBytes);
    }
    const float *k = kv_widen(c, keys, headDim, cols, KV_BLOCK, keyTile);
    attention_product(rows, cols, headDim, q, headDim, 1, k, KV_BLOCK, scores, KV_BLOCK, 0);
    for (int64_t r = 0; r < rows; r++) {
      const int64_t position = item[2] + (first + r) / group;
      kv_softmax(scores + r * KV_BLOCK, c->window ? position - c->window + 1 - k0 : 0, position + 1 - k0,
                 c->keyScale ? c->keyScale + place : NULL, c->valueScale ? c->valueScale + place : NULL, max + r, sum + r,
                 out + r * padded, padded);
    }
    const float *v = kv_widen(c, values, end - begin, padded, padded, valueTile);
    attention_product(rows, padded, end - begin, scores + begin, KV_BLOCK, 1, v, padded, out, padded, 1);
  }

  for (int64_t r = 0; r < rows; r++) {
    const int64_t token = (first + r) / group, h = head * group + (first + r) % group;
    const float total = sum_lanes(sum[r]);
    float *to = c->out + ((item[0] + token) * c->nHeads + h) * headDim;
    for (int64_t d = 0; d < headDim; d++) to[d] = out[r * padded + d] / total;
  }
}

static void attention_cached(const double *args, work w) {
  const kv_call c = kv_call_of(args);
  const int64_t group = c.nHeads / c.nKvHeads;
  int64_t step = KV_QUERIES, units = 0;
  for (int64_t n = 0; n < c.nItems; n++) units += c.nKvHeads * ((c.items[4 * n + 1] * group + step - 1) / step);
  /* One token over one key/value head is one block: smaller ones give every part some. */
  for (; units < w.parts && step > 1; units *= 2) step /= 2;
  /* The first pass adds up what there is to do, the second does what falls into this part. */
  int64_t total = 0;
  for (int pass = 0; pass < 2; pass++) {
    int64_t before = 0;
    for (int64_t n = 0; n < c.nItems; n++) {
      const int32_t *item = c.items + 4 * n;
      for (int64_t head = 0; head < c.nKvHeads; head++)
        for (int64_t first = 0; first < item[1] * group; first += step) {
          const int64_t rows = MIN(step, item[1] * group - first), seen = item[2] + (first + rows - 1) / group + 1;
          const int64_t cost = rows * (c.window ? MIN(seen, c.window + rows) : seen);
          const int mine = pass == 1 && (2 * before + cost) * w.parts / (2 * total) == w.part;
          if (mine) kv_attend(&c, item, head, first, rows, w.scratch);
          before += cost;
        }
    }
    total = before;
  }
}
