/** A packed model of random weights on the disk, a few kilobytes large. */

import { rmSync } from 'node:fs';
import { findCheckpoint, readCheckpoint } from '../../src/formats/checkpoint-directory.ts';
import { sourceOfCheckpoint } from '../../src/model/parameter-source.ts';
import type { ModelConfigInput } from '../../src/model/resolve-config.ts';
import { writePackedModel } from '../../src/model/write-packed-model.ts';
import type { WeightType } from '../../src/tensor/weight-matrix.ts';
import { createTinyRun } from './tiny-checkpoint.ts';

export interface TinyPacked {
  readonly directory: string;
  remove(): void;
}

/** That of createTinyRun, packed. */
export async function createTinyPacked(
  dtype: WeightType = 'int8',
  overrides: Partial<ModelConfigInput> = {},
): Promise<TinyPacked> {
  const run = createTinyRun(overrides);
  const checkpoint = readCheckpoint(findCheckpoint(run.directory, 'best'));
  const directory = `${run.directory}-packed`;
  try {
    await writePackedModel(sourceOfCheckpoint(checkpoint), directory, { dtype });
  } finally {
    checkpoint.close();
    run.remove();
  }
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
