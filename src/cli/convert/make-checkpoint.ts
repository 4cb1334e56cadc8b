/** `convert --to checkpoint`: a model of another program, or one of adapters beside weights, becomes a checkpoint that training begins from. */

import { basename } from 'node:path';
import { checkDerivedTarget } from '../../formats/checkpoint-directory.ts';
import { winaSource } from '../../model/wina-source.ts';
import { writeCheckpoint } from '../../model/write-checkpoint.ts';
import { UsageError } from '../../util/errors.ts';
import { formatBytes, formatDuration } from '../../util/format.ts';
import { openSource } from '../shared/open-source.ts';
import type { Output } from '../shared/output.ts';

export interface CheckpointRequest {
  path: string;
  out: string | undefined;
  /** In the numbers of winaSource. */
  wina: boolean;
  /** Options that were given and mean nothing here. */
  unused: readonly string[];
}

/**
 * Throws UsageError for them, for no OUT and for a checkpoint; FormatError for a model that cannot be
 * read and an OUT that holds something.
 */
export async function makeCheckpoint(
  { path, out, wina, unused }: CheckpointRequest,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  if (out === undefined)
    throw new UsageError('convert', 'expected a directory to write, got none. Name it behind MODEL.');
  if (unused.length > 0)
    throw new UsageError(unused[0], 'it does not go with --to checkpoint, which is f32. Leave it out.');
  checkDerivedTarget(out);
  const begin = performance.now();
  const source = openSource(path, 'convert');
  try {
    if (source.format === 'qsparse' && !source.adapted && !wina) {
      const expected = 'expected a model of another program, or adapters to merge';
      throw new UsageError('--to', `${source.path} is a checkpoint already: ${expected}.`);
    }
    const progress = output.progress();
    const origin = source.adapted ? 'mergedFrom' : 'importedFrom';
    const bytes = await writeCheckpoint(wina ? winaSource(source) : source, out, {
      state: { [origin]: { format: source.format, name: basename(path), ...(wina && { wina }) } },
      signal,
      onProgress: (done, total) => progress.update({ label: 'writing', done, total, unit: 'weights' }),
    });
    progress.done();
    const seconds = (performance.now() - begin) / 1000;
    output.line(`${path} (${source.format}), written in ${formatDuration(seconds)}`);
    output.line(`${out}: a checkpoint of ${formatBytes(bytes)}, f32`);
    output.json({ model: path, format: source.format, out, bytes, seconds });
  } finally {
    source.close();
  }
}
