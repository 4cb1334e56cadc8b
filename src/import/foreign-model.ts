/**
 * ForeignModel: a model of another program, opened: its configuration, its tokenizer, and its tensors, one parameter of ours at a time.
 *
 * The seam between file formats and everything that takes models: opening reads headers, `read` one parameter in our layout, so that loading
 * needs the memory of the model as it is used and converting that of its largest parameter.
 */

import type { ModelConfig } from '../model/config.ts';
import type { ParameterInfo } from '../model/parameters.ts';
import type { TokenizerFiles } from '../tokenizer/tokenizer-config.ts';

export const FOREIGN_FORMATS = ['gguf', 'hugging-face', 'llama2.c'] as const;
export type ForeignFormat = (typeof FOREIGN_FORMATS)[number];

/** The contents of a tokenizer.json, built where there is none, and what goes with it. */
export type ForeignText = TokenizerFiles;

export interface ForeignModel {
  readonly format: ForeignFormat;
  /** As given. */
  readonly path: string;
  /** Resolved; dense, as top-K of sparsity 0: another sparsity can be chosen at run time. */
  readonly config: ModelConfig;
  readonly text: ForeignText;
  /** Of the tensors in the file or files. */
  readonly bytes: number;
  /**
   * Fills `out` with a parameter of `describeParameters(config)`: f32, projections [in, out] and fused. Reads only what that takes. Throws FormatError
   * for a tensor that cannot be read or holds NaN or an infinity.
   */
  read(parameter: ParameterInfo, out: Float32Array): void;
  close(): void;
}
