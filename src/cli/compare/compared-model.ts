/** MODEL of `qsparse compare`: what stands on the command line, `MODEL` or `MODEL@SHARE`. */

import { parseShare } from '../shared/common-options.ts';

export interface ComparedModel {
  /** As given; the name in table and figure. */
  readonly given: string;
  /** Without the share. */
  readonly model: string;
  /** In place of the trained one; null: as it was trained. */
  readonly sparsity: number | null;
}

/** A number behind the last @ is a share; what else stands there belongs to the model: the revision of one on the Hub. Throws UsageError for no share below 1. */
export function comparedModel(given: string): ComparedModel {
  const [, model, share] = /^(.+)@(\d*\.?\d+%?)$/.exec(given) ?? [];
  if (model === undefined) return { given, model: given, sparsity: null };
  return { given, model, sparsity: parseShare(given)(share) };
}
