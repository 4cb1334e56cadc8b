/** A model whose f32 parameters can be read one by one: a checkpoint of training, or a model of another program. What is converted, and what trainings begin with. */

import { findCheckpoint, readCheckpoint } from '../../formats/checkpoint-directory.ts';
import { holdsPackedModel } from '../../formats/packed-directory.ts';
import type { ForeignFormat } from '../../import/foreign-model.ts';
import { isForeign, openForeign } from '../../import/open-model.ts';
import { ADAPTER_SCALE } from '../../model/checkpoint-parameters.ts';
import { type ParameterSource, sourceOfCheckpoint } from '../../model/parameter-source.ts';
import { UsageError } from '../../util/errors.ts';

export interface OpenedSource extends ParameterSource {
  /** The checkpoint's directory, or the path of the model as given. */
  readonly path: string;
  readonly format: 'qsparse' | ForeignFormat;
  /** A checkpoint of adapters beside weights, which are merged as they are read. */
  readonly adapted: boolean;
  close(): void;
}

/** Opens it; `close` it. `where` is the command. Throws FormatError as what it opens, UsageError for a packed model. */
export function openSource(path: string, where: string): OpenedSource {
  if (isForeign(path)) {
    const { format, config, text, read, close } = openForeign(path);
    return { path, format, adapted: false, config, ...text, step: 0, read, close };
  }
  const directory = findCheckpoint(path, 'best');
  if (holdsPackedModel(directory)) {
    const again = 'Name the model that it was made of';
    throw new UsageError(where, `${directory} is packed already: expected a checkpoint of training. ${again}.`);
  }
  const checkpoint = readCheckpoint(directory);
  try {
    const source = sourceOfCheckpoint(checkpoint);
    return {
      ...source,
      path: checkpoint.path,
      format: 'qsparse',
      adapted: checkpoint.model.tensors.has(ADAPTER_SCALE),
      close: () => checkpoint.close(),
    };
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}
