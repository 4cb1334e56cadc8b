/**
 * ExportSource: a model whose parameters are read one at a time, as f32 numbers in our layout, and what goes with them.
 *
 * Opened here: checkpoints of training, of which the multiplied numbers are given (of a ternary model not the latent ones), and packed models in
 * f32 and bf16. A model of another program that is open has the same members.
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
  /** Fills `out`, as long as the parameter, with its numbers, [in, out] and fused. Throws FormatError. */
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
    const read =
      'matrices' in opened.model
        ? packedReader(opened.model, config)
        : (parameter: ParameterInfo, out: Float32Array) => {
            readParameter(opened.model, parameter, out);
            toMultiplied(config, parameter, out);
          };
    return { path, config, text, read, close: () => opened.close() };
  } catch (error) {
    opened.close();
    throw error;
  }
}
