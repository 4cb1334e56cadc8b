/** A tiny checkpoint and a folder to pack it into, for tests of packed models. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Checkpoint, findCheckpoint, readCheckpoint } from '../../src/formats/checkpoint-directory.ts';
import { sourceOfCheckpoint } from '../../src/model/parameter-source.ts';
import { type PackReport, type WritePackedOptions, writePackedModel } from '../../src/model/write-packed-model.ts';
import type { FloatTensor } from '../../src/tensor/tensor.ts';
import { createTinyRun, type TinyRun } from './tiny-checkpoint.ts';

export interface PackedWorkspace {
  readonly directory: string;
  readonly run: TinyRun;
  /** Of the model of `run`, by name. */
  readonly parameters: ReadonlyMap<string, FloatTensor>;
  /** A path where nothing is. */
  newPath(): string;
  /** Packs `run`, or another one, to a new path, or to `path`. */
  pack(
    options: WritePackedOptions,
    to?: { path?: string; from?: TinyRun },
  ): Promise<{ path: string; report: PackReport }>;
  remove(): void;
}

export function createPackedWorkspace(): PackedWorkspace {
  const directory = mkdtempSync(join(tmpdir(), 'qsparse-pack-'));
  // No extent is a multiple of a line: gaps everywhere.
  const run = createTinyRun({ dim: 36, hiddenDim: 52, nHeads: 3, nKvHeads: 1, headDim: 10, tiedEmbeddings: false });
  let count = 0;
  const newPath = () => join(directory, `packed-${count++}`);
  return {
    directory,
    run,
    parameters: new Map(run.model.parameters.map(({ name, value }) => [name, value])),
    newPath,
    async pack(options, { path = newPath(), from = run } = {}) {
      const checkpoint: Checkpoint = readCheckpoint(findCheckpoint(from.directory, 'best'));
      try {
        return { path, report: await writePackedModel(sourceOfCheckpoint(checkpoint), path, options) };
      } finally {
        checkpoint.close();
      }
    },
    remove() {
      rmSync(directory, { recursive: true });
      run.remove();
    },
  };
}
