/** Without a term for training tokens, runs of several D would be one cloud with several floors. */

import type { LawRun } from '../../scaling/law-runs.ts';
import { UsageError } from '../../util/errors.ts';

/** Throws UsageError where the runs of a format differ in their training tokens; `advice` says what to do. */
export function checkSameTokens(format: string, runs: readonly LawRun[], advice: string): void {
  const count = new Set(runs.map(({ tokens }) => tokens)).size;
  if (count <= 1) return;
  throw new UsageError('law', `the ${format} runs have ${count} numbers of training tokens. ${advice}.`);
}
