/** The options of `qsparse sft`: those of every training, what the model becomes, and what is particular to conversations. */

import type { Command } from 'commander';
import { addMethodOptions, type MethodOptions } from '../training/method-options.ts';
import { real, whole } from '../training/option-kinds.ts';
import { addDirectoryOptions, addRunOptions, type RunOptions } from '../training/run-options.ts';

export interface SftOptions extends RunOptions, MethodOptions {
  recipe?: string;
  data?: string[];
  template?: string;
  skipBad?: boolean;
  seqLen?: number;
  epochs?: number;
  lora?: number;
  loraAlpha?: number;
  loraPoints?: string;
}

/** Declares every option of SftOptions. */
export function addSftOptions(command: Command): Command {
  command
    .optionsGroup('Data and run directory:')
    .option('--data <file...>', 'conversations, as JSON lines or a JSON list; left out on resume: those of the run')
    .option('--template <name>', "plain, or a file with a Jinja chat template (default: the model's own)")
    .option('--skip-bad', 'pass over conversations that cannot be used, and count them')
    .option('--no-skip-bad', 'the opposite, on resume');
  addDirectoryOptions(command);
  whole(command, '--seq-len <n>', 'tokens of a row: longer conversations are cut (default: 1024)', 1);
  real(command, '--epochs <n>', 'how often every conversation is seen, instead of --steps (default: 1)');
  whole(
    command.optionsGroup('Adapters (LoRA):'),
    '--lora <rank>',
    'train corrections of this rank in the place of the weights',
    1,
  );
  real(command, '--lora-alpha <x>', 'they are multiplied with alpha / rank (default: 2 rank)');
  command.option('--lora-points <names>', 'projections that have them (default: qkv,o,gateUp,down)');
  command
    .optionsGroup('Model (default: as it is):')
    .option('--recipe <name>', 'built-in name or path of a recipe; options override it');
  addMethodOptions(command);
  addRunOptions(command);
  return command;
}
