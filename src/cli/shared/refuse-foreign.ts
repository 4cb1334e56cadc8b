/** For commands that need a checkpoint of training: says what to do with a model of another program. */

import { isForeign } from '../../import/open-model.ts';
import { UsageError } from '../../util/errors.ts';

/** Throws UsageError for a model of another program; `where` is the command. */
export function refuseForeign(path: string, where: string): void {
  if (!isForeign(path)) return;
  const expected = 'expected a run or a checkpoint of qsparse';
  const advice = `Make one of it: qsparse convert ${path} DIR --to checkpoint`;
  throw new UsageError(where, `${path} is a model of another program: ${expected}. ${advice}.`);
}
