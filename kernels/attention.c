/* Causal attention over whole sequences with memory linear in their length: training, forward and backward.
 *
 * Blocks of queries meet blocks of keys with a running maximum and sum (Dao et al., arXiv 2205.14135); the backward
 * makes the probabilities again from logSumExp (arXiv 2307.08691). Everything heavy is one register-blocked product on
 * tiles in the scratch. The forward keeps its tiles transposed, queries along the vector: maximum, sum and scaling are
 * then plain vector operations, and K and V are read where they lie. The backward keeps keys along the vector for the
 * scores and features for the gradients. Rows of scratch are padded: only packing and unpacking know remainders.
 *
 * Query head h reads key/value head h / (nHeads / nKvHeads). headDim <= 1024: the tiles must fit the scratch.
 *
 * A query sees the keys from firstKeys [N] (index in its sequence; address 0: from the first) up to its own. Blocks that none of their queries
 * sees are passed over; the blocks are where they are without firstKeys, so that those of zeros change no bit.
 *
 * attention:          qkv, out, logSumExp, batch, seqLen, nHeads, nKvHeads, headDim, firstKeys
 *                                                                            sequences, heads, rows are shared
 * attention_backward: qkv, out, logSumExp, dOut, dQkv, batch, seqLen, nHeads, nKvHeads, headDim, firstKeys
 *                                                                            sequences, key/value heads are shared
 */
#include "attention_product.h"
#include "transpose_block.h"
#include "vector_math.h"

static void attention_clear(float *x, int64_t size) {
  for (int64_t i = 0; i < size; i++) x[i] = 0;
}

/* The first key that any of these queries sees. */
static int64_t attention_first_key(const int32_t *firstKeys, int64_t queries) {
  if (!firstKeys) return 0;
  int32_t first = firstKeys[0];
  for (int64_t i = 1; i < queries; i++) first = MIN(first, firstKeys[i]);
  return first;
}

/* ---- forward ---------------------------------------------------------------------------------------------------- */

/* 32 queries and 60 keys: the transposed queries, the scores and the output of headDim 64 lie in the first-level cache
 * together; 60 is ten times six rows. */
#define ATTENTION_QUERIES 32
#define ATTENTION_KEYS 60

/* One head of one sequence: pointers to its first feature, and the distance from one token to the next. */
typedef struct {
  const float *q, *k, *v;
  const int32_t *firstKeys; /* of the sequence, or null */
  float *out, *logSumExp;
  int64_t row, outRow, logSumExpRow;
  int64_t nQueries, headDim;
} attention_head;

/* Before the first key: below every score but that of a key out of sight, so that a block without any key in sight adds nothing. */
#define ATTENTION_LOWEST (-3.402823466e38f)

/* Scores [keys, queries] of a block become exp(score - max); max, sum and the output so far follow the new maximum. */
static void attention_softmax(float *scores, int64_t keys, float *max, float *sum, float *outT, int64_t headDim) {
  for (int64_t i = 0; i < ATTENTION_QUERIES; i += VL) {
    const vf before = load(max + i);
    vf best = before;
    for (int64_t j = 0; j < keys; j++) best = larger(load(scores + j * ATTENTION_QUERIES + i), best);
    const vf shrink = exp_lanes(before - best);
    vf total = load(sum + i) * shrink;
    for (int64_t j = 0; j < keys; j++) {
      float *score = scores + j * ATTENTION_QUERIES + i;
      const vf p = exp_lanes(load(score) - best);
      store(score, p);
      total += p;
    }
    store(max + i, best);
    store(sum + i, total);
    for (int64_t d = 0; d < headDim; d++) {
      float *o = outT + d * ATTENTION_QUERIES + i;
      store(o, load(o) * shrink);
    }
  }
}

/* Queries first .. first + ATTENTION_QUERIES of a head over all keys that they may see. */
static void attention_queries(const attention_head *h, int64_t first, float *scratch) {
  const int64_t headDim = h->headDim, Q = ATTENTION_QUERIES, queries = MIN(Q, h->nQueries - first);
  const int64_t nKeys = first + queries;
  float *qT = scratch, *outT = qT + headDim * Q, *scores = outT + headDim * Q;
  float max[ATTENTION_QUERIES], sum[ATTENTION_QUERIES];

  if (queries < Q) attention_clear(qT, headDim * Q);
  transpose_block(h->q + first * h->row, h->row, queries, headDim, qT, Q);
  const float factor = attention_scale(headDim);
  for (int64_t j = 0; j < headDim * Q; j += VL) store(qT + j, load(qT + j) * factor);
  attention_clear(outT, headDim * Q);
  for (int i = 0; i < Q; i++) max[i] = ATTENTION_LOWEST, sum[i] = 0;

  const int32_t *firstKeys = h->firstKeys ? h->firstKeys + first : 0;
  const int64_t begin = attention_first_key(firstKeys, queries) / ATTENTION_KEYS * ATTENTION_KEYS;
  for (int64_t k0 = begin; k0 < nKeys; k0 += ATTENTION_KEYS) {
    const int64_t keys = MIN(ATTENTION_KEYS, nKeys - k0);
    attention_product(keys, Q, headDim, h->k + k0 * h->row, h->row, 1, qT, Q, scores, Q, 0);
    for (int64_t j = MAX(0, first + 1 - k0); j < keys; j++) {
      const int64_t blind = k0 + j - first; /* the queries that stand before this key */
      for (int64_t i = 0; i < blind; i++) scores[j * Q + i] = -__builtin_inff();
    }
    for (int64_t i = 0; firstKeys && i < queries; i++) {
      const int64_t hidden = MIN(keys, firstKeys[i] - k0);
      for (int64_t j = 0; j < hidden; j++) scores[j * Q + i] = -__builtin_inff();
    }
    attention_softmax(scores, keys, max, sum, outT, headDim);
    attention_product(headDim, Q, keys, h->v + k0 * h->row, 1, h->row, scores, Q, outT, Q, 1);
  }
  for (int64_t d = 0; d < headDim; d++)
    for (int64_t i = 0; i < Q; i += VL) store(outT + d * Q + i, load(outT + d * Q + i) / load(sum + i));
  transpose_block(outT, Q, headDim, queries, h->out + first * h->outRow, h->outRow);
  for (int64_t i = 0; i < queries; i++)
    h->logSumExp[(first + i) * h->logSumExpRow] = (float)(max[i] + log_of(sum[i]));
}

static void attention(const double *args, work w) {
  const float *qkv = PF(0);
  float *out = PF(1), *logSumExp = PF(2);
  const int32_t *firstKeys = PI(8);
  const int64_t batch = INT(3), T = INT(4), nHeads = INT(5), nKvHeads = INT(6), headDim = INT(7);
  const int64_t row = (nHeads + 2 * nKvHeads) * headDim, group = nHeads / nKvHeads;
  const int64_t blocks = (T + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
  int64_t first, last;
  share(batch * nHeads * blocks, 1, w, &first, &last);
  for (int64_t unit = first; unit < last; unit++) {
    const int64_t b = unit / (nHeads * blocks), h = unit / blocks % nHeads;
    const float *rows = qkv + b * T * row;
    const attention_head head = {
        .q = rows + h * headDim,
        .k = rows + (nHeads + h / group) * headDim,
        .v = rows + (nHeads + nKvHeads + h / group) * headDim,
        .firstKeys = firstKeys ? firstKeys + b * T : 0,
        .out = out + (b * T * nHeads + h) * headDim,
        .logSumExp = logSumExp + b * T * nHeads + h,
        .row = row,
        .outRow = nHeads * headDim,
        .logSumExpRow = nHeads,
        .nQueries = T,
        .headDim = headDim,
    };
    attention_queries(&head, unit % blocks * ATTENTION_QUERIES, w.scratch);
  }
}

/* ---- backward --------------------------------------------------------------------------------------------------- */

/* The tiles of a block of keys: keys and features padded to whole pairs of vectors. */
typedef struct {
  int64_t T, nHeads, nKvHeads, headDim, padded;
  int64_t nQueries, nKeys; /* of a block */
  const float *qkv, *out, *logSumExp, *dOut;
  const int32_t *firstKeys; /* of all sequences, or null */
  float *dQkv;
  float *k, *kT, *vT, *dK, *dV; /* k, dK, dV [nKeys, padded]; kT, vT [headDim, nKeys] */
  float *q, *dO, *dQ;           /* [nQueries, padded] */
  float *p, *dS;                /* [nQueries, nKeys] */
} attention_tiles;

/* Divides the scratch. Many keys, since each block of them reads all queries behind it again; wide heads take small
 * blocks: for headDim 1024, 5 * 32 + 3 * 16 rows and two tiles of scores are 836 KB. */
static void attention_divide(attention_tiles *t, float *scratch) {
  const int64_t headDim = t->headDim;
  t->nQueries = headDim <= 256 ? 64 : 16;
  t->nKeys = headDim <= 128 ? 128 : headDim <= 256 ? 64 : 32;
  t->padded = attention_pad(headDim);
  float *next = scratch;
  float **rows[] = {&t->k, &t->dK, &t->dV, &t->q, &t->dO, &t->dQ};
  for (int i = 0; i < 6; i++) *rows[i] = next, next += (i < 3 ? t->nKeys : t->nQueries) * t->padded;
  t->kT = next, next += headDim * t->nKeys;
  t->vT = next, next += headDim * t->nKeys;
  t->p = next, next += t->nQueries * t->nKeys;
  t->dS = next;
}

/* to [rows, padded] = from * factor, zeros in the padding. */
static void attention_pack(const float *from, int64_t fromRow, int64_t rows, int64_t cols, int64_t padded, float factor,
                           float *to) {
  for (int64_t r = 0; r < rows; r++, from += fromRow, to += padded) {
    FOR_VECTORS(cols, { PUT(to, GET(from, 0) * factor); });
    for (int64_t j = cols; j < padded; j++) to[j] = 0;
  }
}

/* to = (or +=) from [rows, padded] * factor. */
static void attention_unpack(const float *from, int64_t padded, int64_t rows, int64_t cols, float factor, float *to,
                             int64_t toRow, int accumulate) {
  for (int64_t r = 0; r < rows; r++, from += padded, to += toRow)
    FOR_VECTORS(cols, {
      vf value = GET(from, 0) * factor;
      PUT(to, accumulate ? GET(to, 0) + value : value);
    });
}

/* Scores and dP of the block become P and dS = P (dP - delta); both are 0 where the key stands behind the query, or before its first. */
static void attention_softmax_backward(const attention_tiles *t, int64_t queries, int64_t cols, int64_t ahead, int64_t k0,
                                       const int32_t *firstKeys, const float *logSumExp, const float *out) {
  const int64_t outRow = t->nHeads * t->headDim;
  vi lane;
  for (int i = 0; i < VL; i++) lane[i] = i;
  for (int64_t i = 0; i < queries; i++) {
    const float *dO = t->dO + i * t->padded, *o = out + i * outRow;
    vf along = splat(0);
    FOR_VECTORS(t->headDim, { along += GET(dO, 0) * GET(o, 0); });
    const float delta = sum_lanes(along), base = logSumExp[i * t->nHeads];
    float *p = t->p + i * t->nKeys, *dS = t->dS + i * t->nKeys;
    const int64_t hidden = firstKeys ? firstKeys[i] - k0 : 0;
    for (int64_t j = 0; j < cols; j += VL) {
      const vi seen = (lane <= (int32_t)(ahead + i - j)) & (lane >= (int32_t)(hidden - j));
      const vf probability = exp_lanes(load(p + j) - base);
      store(p + j, where(seen, probability));
      store(dS + j, where(seen, probability * (load(dS + j) - delta)));
    }
  }
}

/* Queries q0 .. of head h against the block of keys k0 ..: adds to dK and dV, and to dQ in dQkv. `sequence` is b. */
static void attention_backward_block(const attention_tiles *t, int64_t sequence, int64_t h, int64_t q0, int64_t k0) {
  const int64_t headDim = t->headDim, padded = t->padded, nKeys = t->nKeys;
  const int64_t queries = MIN(t->nQueries, t->T - q0);
  /* No key behind the last of these queries. */
  const int64_t keys = MIN(nKeys, q0 + queries - k0), cols = attention_pad(keys);
  const int64_t row = (t->nHeads + 2 * t->nKvHeads) * headDim, outRow = t->nHeads * headDim;
  const int64_t token = sequence * t->T + q0;
  const int32_t *firstKeys = t->firstKeys ? t->firstKeys + token : 0;
  const int64_t firstKey = attention_first_key(firstKeys, queries);
  if (firstKey >= k0 + keys) return;
  const float factor = attention_scale(headDim);

  attention_pack(t->qkv + token * row + h * headDim, row, queries, headDim, padded, factor, t->q);
  attention_pack(t->dOut + token * outRow + h * headDim, outRow, queries, headDim, padded, 1, t->dO);
  attention_product(queries, cols, headDim, t->q, padded, 1, t->kT, nKeys, t->p, nKeys, 0);
  attention_product(queries, cols, headDim, t->dO, padded, 1, t->vT, nKeys, t->dS, nKeys, 0);
  attention_softmax_backward(t, queries, cols, q0 - k0, k0, firstKeys, t->logSumExp + token * t->nHeads + h,
                             t->out + token * outRow + h * headDim);
  attention_product(keys, padded, queries, t->p, 1, nKeys, t->dO, padded, t->dV, padded, 1);
  attention_product(keys, padded, queries, t->dS, 1, nKeys, t->q, padded, t->dK, padded, 1);
  attention_product(queries, padded, keys, t->dS, nKeys, 1, t->k, padded, t->dQ, padded, 0);
  attention_unpack(t->dQ, padded, queries, headDim, factor, t->dQkv + token * row + h * headDim, row,
                   k0 > firstKey);
}

/* One key/value head of one sequence, with every query head that reads it. */
static void attention_backward_head(const attention_tiles *t, int64_t sequence, int64_t kvHead) {
  const int64_t headDim = t->headDim, padded = t->padded, group = t->nHeads / t->nKvHeads;
  const int64_t row = (t->nHeads + 2 * t->nKvHeads) * headDim;
  const int64_t kCol = (t->nHeads + kvHead) * headDim, vCol = kCol + t->nKvHeads * headDim;
  for (int64_t k0 = 0; k0 < t->T; k0 += t->nKeys) {
    const int64_t keys = MIN(t->nKeys, t->T - k0), token = sequence * t->T + k0;
    if (keys < t->nKeys) attention_clear(t->kT, headDim * t->nKeys), attention_clear(t->vT, headDim * t->nKeys);
    attention_pack(t->qkv + token * row + kCol, row, keys, headDim, padded, 1, t->k);
    transpose_block(t->qkv + token * row + kCol, row, keys, headDim, t->kT, t->nKeys);
    transpose_block(t->qkv + token * row + vCol, row, keys, headDim, t->vT, t->nKeys);
    attention_clear(t->dK, t->nKeys * padded);
    attention_clear(t->dV, t->nKeys * padded);
    for (int64_t h = kvHead * group; h < (kvHead + 1) * group; h++)
      for (int64_t q0 = k0 / t->nQueries * t->nQueries; q0 < t->T; q0 += t->nQueries)
        attention_backward_block(t, sequence, h, q0, k0);
    attention_unpack(t->dK, padded, keys, headDim, 1, t->dQkv + token * row + kCol, row, 0);
    attention_unpack(t->dV, padded, keys, headDim, 1, t->dQkv + token * row + vCol, row, 0);
  }
}

static void attention_backward(const double *args, work w) {
  attention_tiles tiles = {
      .qkv = PF(0),
      .out = PF(1),
      .logSumExp = PF(2),
      .dOut = PF(3),
      .dQkv = PF(4),
      .T = INT(6),
      .nHeads = INT(7),
      .nKvHeads = INT(8),
      .headDim = INT(9),
      .firstKeys = PI(10),
  };
  attention_divide(&tiles, w.scratch);
  int64_t first, last;
  share(INT(5) * tiles.nKvHeads, 1, w, &first, &last);
  for (int64_t unit = first; unit < last; unit++)
    attention_backward_head(&tiles, unit / tiles.nKvHeads, unit % tiles.nKvHeads);
}
