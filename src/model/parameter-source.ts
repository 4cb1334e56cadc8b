/**
 * ParameterSource: the f32 parameters of a model, one at a time, wherever they come from, with what belongs to the model beside them. What packing
 * and other conversions read, so that no model has to be in memory whole.
 */

import type { Checkpoint } from '../formats/checkpoint-directory.ts';
import { configOf, readParameter } from './checkpoint-parameters.ts';
import type { ModelConfig } from './config.ts';
import type { ParameterInfo } from './parameters.ts';

export interface ParameterSource {
  readonly config: ModelConfig;
  /** The contents of tokenizer.json, and of tokenizer_config.json where the model came from another program. */
  readonly tokenizer: object;
  readonly tokenizerConfig: object | null;
  /** Training step; 0 for a model of another program. */
  readonly step: number;
  /** Fills `out` with a parameter as it is trained (of a ternary model: latent numbers). Throws FormatError. */
  read(parameter: ParameterInfo, out: Float32Array): void;
}

/** The parameters of a checkpoint of training. Throws FormatError for a configuration that is none of ours. */
export function sourceOfCheckpoint(checkpoint: Checkpoint): ParameterSource {
  const { tokenizer, tokenizerConfig, step, model } = checkpoint;
  return {
    ...{ config: configOf(checkpoint), tokenizer, tokenizerConfig, step },
    read: (parameter, out) => readParameter(model, parameter, out),
  };
}
