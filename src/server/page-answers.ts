/** What the server answers beyond OpenAI's API and the pages read: types alone, for both sides. */

import type { ModelConfig } from '../model/config.ts';

/** An entry of GET /api/models; null where its files could not be read. */
export interface ListedModel {
  readonly id: string;
  readonly config: ModelConfig | null;
  readonly parameters: number | null;
  readonly dtype: string | null;
  readonly contextTokens: number | null;
  /** It has a form of a conversation. */
  readonly chat: boolean | null;
  /** Memory that it takes, or will take. */
  readonly bytes: number | null;
  readonly loaded: boolean;
  /** Requests that wait or run. */
  readonly users: number;
  readonly readable: boolean;
}

/** An entry of GET /api/runs. */
export interface ListedRun {
  readonly id: string;
  /** The folder's name, below the folder of all runs. */
  readonly name: string;
  readonly startedAt: string | null;
  /** Its metrics grew during the last minute, and it has steps left. */
  readonly isLive: boolean;
  readonly step: number;
  readonly maxSteps: number | null;
}

/** `qsparse` of a chunk, for each token. */
export interface TokenDetails {
  readonly id: number;
  /** Since the token before; of the first: since the prompt began to run. */
  readonly ms: number;
  /** By layer; null: the model does not count. */
  readonly kept: readonly number[] | null;
}

/** `qsparse` of the last chunk of a choice. */
export interface ChoiceSummary {
  readonly promptMs: number;
  readonly generateMs: number;
  /** null: one token has no speed. */
  readonly tokensPerSecond: number | null;
  /** Of all inputs of projections; null: the model does not count. */
  readonly sparsity: number | null;
  readonly activatedParameters: number | null;
  /** Milliseconds; absent where they are not measured or something else ran too. */
  readonly parts?: PartTimes & { readonly other: number };
}

/** Milliseconds of kernels by what they do. */
export interface PartTimes {
  /** Choosing what stays, listing natural zeros. */
  readonly selection: number;
  readonly products: number;
  readonly attention: number;
  readonly head: number;
}
