/**
 * ExportSource: a model whose parameters are read one at a time, as f32 numbers in our layout, and what goes with them.
 *
 * Opened here: checkpoints of training, and packed models in f32 and bf16. A model of another program that is open (`ForeignModel`) has the same
 * members; `exportSourceOf` takes it, so that writing knows nothing of where numbers come from, and nothing here of other programs' files.
 */

import { findCheckpoint, readCheckpoint } from '../formats/checkpoint-directory.ts';
import { readTokenizerConfigFile } from '../formats/model-files.ts';
import { holdsPackedModel, readPackedDirectory } from '../formats/packed-directory.ts';
import { configOf, readParameter, toMultiplied } from '../model/checkpoint-parameters.ts';
import type { ModelConfig } from '../model/config.ts';
import type { ParameterInfo } from '../model/parameters.ts';
import { packedReader } from './packed-numbers.ts';

export interface ExportSource {
  readonly path: string;
  readonly config: ModelConfig;
  readonly text: {
    /** The contents of tokenizer.json. */
    readonly tokenizer: object;
    /** Those of tokenizer_config.json, where the model came with one. */
    readonly tokenizerConfig: object | null;
  };
  /** Fills `out`, as long as the parameter, with its numbers as they are multiplied, [in, out] and fused. Throws FormatError. */
  read(parameter: ParameterInfo, out: Float32Array): void;
  close(): void;
}

/** Opens the best checkpoint of a run, a checkpoint, or a packed model. Close it: its files stay open. Throws FormatError. */
export function openExportSource(given: string): ExportSource {
  const path = findCheckpoint(given, 'best');
  const opened = holdsPackedModel(path) ? readPackedDirectory(path) : readCheckpoint(path);
  try {
    const config = configOf(opened);
    const text = { tokenizer: opened.tokenizer, tokenizerConfig: readTokenizerConfigFile(path) };
    const source = { path, config, text, close: () => opened.close() };
    if ('matrices' in opened.model) return { ...source, read: packedReader(opened.model, config) };
    const model = opened.model;
    return exportSourceOf({ ...source, read: (parameter, out) => readParameter(model, parameter, out) });
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** An open model whose parameters are read as they are trained: of a ternary one they are latent, and become what is multiplied. */
export function exportSourceOf(model: ExportSource): ExportSource {
  const { path, config, text } = model;
  const read = (parameter: ParameterInfo, out: Float32Array) => {
    model.read(parameter, out);
    toMultiplied(config, parameter, out);
  };
  return { path, config, text, read, close: () => model.close() };
}
