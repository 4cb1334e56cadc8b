/**
 * openModel: whatever a user calls a model, opened and loaded: a run, a checkpoint or a packed model of this project, a Hugging Face directory, a GGUF file, or
 * a checkpoint of llama2.c. What every command that takes a MODEL calls.
 *
 * A model of another program becomes f32 weights in the backend's memory, as a checkpoint of training does; `qsparse convert` makes a packed model
 * of it, which is smaller and opens at once.
 */

import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import { openByteSource } from '../formats/open-byte-source.ts';
import type { ModelConfig } from '../model/config.ts';
import {
  type LoadedModel,
  type LoadModelOptions,
  loadModel,
  readModelConfig,
  weightTypesOf,
} from '../model/load-model.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import type { ForeignFormat, ForeignModel } from './foreign-model.ts';
import { foreignWeights } from './foreign-weights.ts';
import { openGgufModel } from './gguf-model.ts';
import { isHuggingFace, openHuggingFace } from './hugging-face-model.ts';
import { openLlama2cModel } from './llama2c-model.ts';

/** Is there a model of another program at `path`: a file, or a directory as Hugging Face has them? */
export function isForeign(path: string): boolean {
  if (!existsSync(path)) return false;
  return statSync(path).isFile() || isHuggingFace(path);
}

/** Opens it. `close` it. Throws FormatError for what is no model that can be read here. */
export function openForeign(path: string): ForeignModel {
  const format = formatOf(path);
  if (format === 'gguf') return openGgufModel(openByteSource(path, 'gguf'));
  if (format === 'llama2.c') return openLlama2cModel(path);
  if (format === 'hugging-face') return openHuggingFace(path);
  const expected =
    'a run, a checkpoint, a packed model, a Hugging Face directory, a GGUF file or a checkpoint of llama2.c (.bin)';
  throw new FormatError('import', `${path}: expected ${expected}, found a file of another kind.`, path);
}

/**
 * Loads any model into the backend's memory. Throws FormatError as loadModel and openForeign do.
 */
export function openModel(path: string, backend: Backend, options: LoadModelOptions = {}): LoadedModel {
  if (!isForeign(path)) return loadModel(path, backend, options);
  const foreign = openForeign(path);
  try {
    return loadForeign(foreign, backend);
  } finally {
    foreign.close();
  }
}

/** The configuration of any model, without its weights. Throws FormatError as openModel does. */
export function readConfig(path: string): ModelConfig {
  if (!isForeign(path)) return readModelConfig(path);
  const foreign = openForeign(path);
  try {
    return foreign.config;
  } finally {
    foreign.close();
  }
}

function loadForeign(foreign: ForeignModel, backend: Backend): LoadedModel {
  const { config, path, text } = foreign;
  const arena = new Arena(backend);
  try {
    const { weights, parameters } = foreignWeights(foreign, arena);
    return {
      ...{ config, weights, parameters, dtypes: weightTypesOf(weights), packed: false, path, step: 0 },
      ...{ tokenizer: text.tokenizer, tokenizerConfig: text.tokenizerConfig },
      ...{ bytes: arena.bytes, dispose: () => arena.free() },
    };
  } catch (error) {
    arena.free();
    throw error;
  }
}

/** By what the file begins with; null for none of them. llama2.c's old checkpoints begin with a number like any other, and are known by their name. */
function formatOf(path: string): ForeignFormat | null {
  if (statSync(path).isDirectory()) return 'hugging-face';
  const magic = Buffer.alloc(4);
  try {
    const file = openSync(path, 'r');
    readSync(file, magic, 0, 4, 0);
    closeSync(file);
  } catch (error) {
    throw new FormatError('import', `cannot read ${path}: ${messageOf(error)}.`, path, { cause: error });
  }
  if (magic.toString('latin1') === 'GGUF') return 'gguf';
  return path.endsWith('.bin') ? 'llama2.c' : null;
}
