/** The part of check-kernels.ts that is about embedding, losses and the optimiser. */

import type { Kernels } from '../../backend.ts';
import { momentBlocks } from '../../tensor/block-moments.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import { expectIds, expectMatrix, expectSize, floatTypeOf, mismatch } from './expect-shape.ts';

const SMALLEST_THRESHOLD = 2 ** -100;

export function checkTraining(inner: Kernels) {
  return {
    embedding(ids, table, out) {
      const op = 'embedding';
      const type = floatTypeOf(op, 'table', table);
      expectMatrix(op, 'table', table, type, rowsOf(table), columnsOf(table));
      expectSize(op, 'ids', ids, 'i32', elementsOf(ids));
      expectMatrix(op, 'out', out, type, elementsOf(ids), columnsOf(table));
      expectIds(op, 'ids', ids, 0, rowsOf(table));
      inner.embedding(ids, table, out);
    },
    embeddingBackward(ids, dOut, dTable) {
      const op = 'embeddingBackward';
      const type = floatTypeOf(op, 'dTable', dTable);
      expectMatrix(op, 'dTable', dTable, type, rowsOf(dTable), columnsOf(dTable));
      expectSize(op, 'ids', ids, 'i32', elementsOf(ids));
      expectMatrix(op, 'dOut', dOut, type, elementsOf(ids), columnsOf(dTable));
      expectIds(op, 'ids', ids, 0, rowsOf(dTable));
      inner.embeddingBackward(ids, dOut, dTable);
    },
    softmaxCrossEntropy(logits, targets, losses, scale) {
      const op = 'softmaxCrossEntropy';
      const type = floatTypeOf(op, 'logits', logits);
      expectMatrix(op, 'logits', logits, type, rowsOf(logits), columnsOf(logits));
      expectSize(op, 'targets', targets, 'i32', rowsOf(logits));
      expectSize(op, 'losses', losses, type, rowsOf(logits));
      expectIds(op, 'targets', targets, -1, columnsOf(logits));
      inner.softmaxCrossEntropy(logits, targets, losses, scale);
    },
    softmaxDivergence(logits, teacher, targets, divergences, options) {
      const op = 'softmaxDivergence';
      const type = floatTypeOf(op, 'logits', logits);
      expectMatrix(op, 'logits', logits, type, rowsOf(logits), columnsOf(logits));
      expectMatrix(op, 'teacher', teacher, type, rowsOf(logits), columnsOf(logits));
      expectSize(op, 'targets', targets, 'i32', rowsOf(logits));
      expectSize(op, 'divergences', divergences, type, rowsOf(logits));
      expectIds(op, 'targets', targets, -1, columnsOf(logits));
      if (!(options.temperature > 0)) mismatch(op, 'temperature', 'above 0', options.temperature);
      inner.softmaxDivergence(logits, teacher, targets, divergences, options);
    },
    pruneByChance(x, threshold, seed) {
      const op = 'pruneByChance';
      floatTypeOf(op, 'x', x);
      // Of the smallest normal number: a chance of 24 bits times it must not vanish.
      if (!(threshold >= SMALLEST_THRESHOLD)) mismatch(op, 'threshold', `at least ${SMALLEST_THRESHOLD}`, threshold);
      if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
        mismatch(op, 'seed', 'a whole number below 2^32', seed);
      inner.pruneByChance(x, threshold, seed);
    },
    adamw(p, g, m, v, options) {
      const op = 'adamw';
      const type = floatTypeOf(op, 'p', p);
      const size = elementsOf(p);
      expectSize(op, 'p', p, type, size);
      expectSize(op, 'g', g, type, size);
      expectSize(op, 'm', m, type, size);
      expectSize(op, 'v', v, type, size);
      // The bias corrections of step 0 divide by 0.
      if (!(options.step >= 1)) mismatch(op, 'step', '1 or more', options.step);
      inner.adamw(p, g, m, v, options);
    },
    adamw8(p, g, m, v, options) {
      const op = 'adamw8';
      const type = floatTypeOf(op, 'p', p);
      const size = elementsOf(p);
      expectSize(op, 'p', p, type, size);
      expectSize(op, 'g', g, type, size);
      for (const [name, { codes, scale }] of Object.entries({ m, v })) {
        expectSize(op, `${name}.codes`, codes, 'u8', size);
        expectSize(op, `${name}.scale`, scale, 'f32', momentBlocks(size));
      }
      if (!(options.step >= 1)) mismatch(op, 'step', '1 or more', options.step);
      inner.adamw8(p, g, m, v, options);
    },
  } satisfies Partial<Kernels>;
}
