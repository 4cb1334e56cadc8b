/** The models of the command line with the names by which clients call them. */

import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { UsageError } from '../../util/errors.ts';
import { modelPath } from '../shared/model-argument.ts';
import type { Output } from '../shared/output.ts';

export interface NamedModel {
  readonly id: string;
  readonly path: string;
}

const NAME = /^[\w.:@/-]{1,200}$/;

/** `MODEL`, or `NAME=MODEL`. Throws UsageError for a name that is none or occurs twice, and as modelPath. */
export async function namedModels(given: readonly string[], output: Output): Promise<NamedModel[]> {
  const models: NamedModel[] = [];
  for (const text of given) {
    const { name, model } = splitName(text);
    const id = name ?? nameOf(model);
    if (!NAME.test(id)) {
      throw new UsageError(
        'serve',
        `"${id}" is no name: expected letters, digits and . _ : @ / -. Give NAME=${model}.`,
      );
    }
    if (models.some((other) => other.id === id)) {
      throw new UsageError('serve', `two models are called "${id}": expected different names. Give NAME=${model}.`);
    }
    models.push({ id, path: await modelPath(model, output) });
  }
  return models;
}

/** A path that exists is one, also with an equals sign in it. */
function splitName(text: string): { name: string | null; model: string } {
  const at = text.indexOf('=');
  if (at < 1 || existsSync(text)) return { name: null, model: text };
  return { name: text.slice(0, at), model: text.slice(at + 1) };
}

/** The last part of a path, without what tells a file's format; an id of the Hub as it is. */
function nameOf(model: string): string {
  if (!existsSync(model)) return model;
  return basename(resolve(model)).replace(/\.(gguf|bin)$/i, '');
}
