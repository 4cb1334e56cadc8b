/** The options of `qsparse continue`: those of every training, what the model becomes, and what is particular to a model that exists. */

import type { Command } from 'commander';
import { parseNumber, parseShare } from '../shared/common-options.ts';
import { addMethodOptions, type MethodOptions } from '../training/method-options.ts';
import { real, whole } from '../training/option-kinds.ts';
import {
  addDirectoryOptions,
  addRunOptions,
  addTextOptions,
  type RunOptions,
  type TextOptions,
} from '../training/run-options.ts';

export interface ContinueOptions extends RunOptions, TextOptions, MethodOptions {
  recipe?: string;
  replay?: string[];
  replayShare?: number;
  distill?: number;
  distillTemperature?: number;
  seqLen?: number;
  skipTokens?: number;
}

/** Declares every option of ContinueOptions. */
export function addContinueOptions(command: Command): Command {
  addTextOptions(command.optionsGroup('Text and run directory:'));
  command
    .option('--replay <path...>', 'other text, of which a share of the sequences comes; left out on resume')
    .option('--replay-share <share>', 'that share (default: 0.1)', parseShare('--replay-share'));
  whole(command, '--skip-tokens <n>', 'begin behind so many of the text: those that MODEL was trained on before', 0);
  addDirectoryOptions(command);
  command.optionsGroup('Model:').option('--recipe <name>', 'built-in name or path of a recipe; options override it');
  whole(command, '--seq-len <n>', 'tokens of a sequence in training (default: 512); the context stays', 1);
  addMethodOptions(command);
  command
    .optionsGroup('The dense model as the teacher:')
    .option(
      '--distill <weight>',
      'share of the loss, 0 to 1, that is the divergence from MODEL run dense',
      parseNumber('--distill', { min: 0, max: 1 }),
    );
  real(command, '--distill-temperature <x>', 'of both softmaxes (default: 1)');
  addRunOptions(command);
  return command;
}
