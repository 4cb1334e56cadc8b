/** A model of another program, opened and not converted: the one seam between foreign formats and everything that reads models. */

import type { ModelConfig } from '../model/config.ts';
import type { ParameterInfo } from '../model/parameters.ts';
import type { TokenizerConfig } from '../tokenizer/tokenizer-config.ts';

/** A model of another program, opened: what it is, and its tensors, one at a time. */
export interface ForeignModel {
  readonly format: 'gguf' | 'hugging-face' | 'llama2.c';
  /** As given. */
  readonly path: string;
  /** Resolved; nothing is selected. */
  readonly config: ModelConfig;
  /** Tokenizer and what goes with it. */
  readonly text: ForeignText;
  /** Of the tensors in the file or files. */
  readonly bytes: number;
  /**
   * Fills `out` [elements of the parameter] in our layout, projections [in, out] and fused, with f32 numbers. Reads only what it needs. Throws
   * FormatError.
   */
  read(parameter: ParameterInfo, out: Float32Array): void;
  /** Closes the files; nothing can be read afterwards. */
  close(): void;
}

export interface ForeignText {
  /** Contents of a tokenizer.json, made of the model's own tokenizer where there is none. */
  readonly tokenizer: object;
  /** The fields of Hugging Face's tokenizer_config.json that matter. */
  readonly tokenizerConfig: TokenizerConfig;
}
