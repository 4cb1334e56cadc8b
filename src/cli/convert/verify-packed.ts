/** Reads a packed model whole and compares every hash. */

import { holdsPackedModel, readPackedDirectory } from '../../formats/packed-directory.ts';
import { isPadding } from '../../formats/packed-metadata.ts';
import { UsageError } from '../../util/errors.ts';
import { turnEventLoop } from '../../util/turn-event-loop.ts';
import type { StatusLine } from '../shared/status-line.ts';

export interface VerifiedModel {
  model: string;
  tensors: number;
  bytes: number;
}

/** Throws FormatError for the first tensor that is damaged, UsageError for a checkpoint of training, the reason of `signal` where it is aborted. */
export async function verifyPacked(path: string, progress: StatusLine, signal: AbortSignal): Promise<VerifiedModel> {
  if (!holdsPackedModel(path)) {
    throw new UsageError(
      'convert',
      `${path} is a checkpoint of training, which has no hashes: expected a packed model.`,
    );
  }
  const { model, close } = readPackedDirectory(path);
  try {
    const tensors = [...model.tensors.values()].filter(({ name }) => !isPadding(name));
    const total = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    let done = 0;
    for (const { name, bytes } of tensors) {
      progress.update({ label: 'verifying', done, total, unit: 'bytes' });
      await turnEventLoop();
      signal.throwIfAborted();
      model.verify(name);
      done += bytes;
    }
    return { model: path, tensors: tensors.length, bytes: total };
  } finally {
    progress.done();
    close();
  }
}
