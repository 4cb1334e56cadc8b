/** A run goes on with the command that began it: the others would read its data otherwise. */

import type { RunSettings } from '../../train/run-directory.ts';
import { UsageError } from '../../util/errors.ts';

export type TrainingCommand = 'train' | 'continue' | 'sft';

function commandOf({ from, conversations }: RunSettings): TrainingCommand {
  if (conversations !== undefined) return 'sft';
  return from === undefined ? 'train' : 'continue';
}

/** Throws UsageError that says which command goes on with the run. */
export function refuseOtherCommand(saved: RunSettings, command: TrainingCommand, out: string): never {
  const began = commandOf(saved);
  throw new UsageError(
    '--resume',
    `${out} is a run of qsparse ${began}: expected one of qsparse ${command}. Go on with qsparse ${began} --out ${out} --resume`,
  );
}
