/**
 * The options of `qsparse train`, and what they say about the model.
 *
 * Only what was given counts: an option that was left out appears in no result, so that recipes, presets, defaults and, on
 * resume, the settings of the run can fill it in. Ranges are checked by resolveConfig, in one place for options and recipes.
 */

import type { Command } from 'commander';
import type { ModelConfig } from '../../model/config.ts';
import { PRESETS } from '../../model/presets.ts';
import type { ModelConfigInput } from '../../model/resolve-config.ts';
import { addMethodOptions, type MethodOptions, methodFieldsOf } from '../training/method-options.ts';
import { choice, given, real, whole } from '../training/option-kinds.ts';
import {
  addDirectoryOptions,
  addRunOptions,
  addTextOptions,
  type RunOptions,
  type TextOptions,
} from '../training/run-options.ts';

export interface TrainCommandOptions extends RunOptions, TextOptions, MethodOptions {
  tokenizer?: string;

  preset?: string;
  dim?: number;
  hiddenDim?: number;
  layers?: number;
  heads?: number;
  kvHeads?: number;
  vocabSize?: number;
  seqLen?: number;
  experts?: number;
  expertsPerToken?: number;
  routerLoadBalance?: number;
  routerZLoss?: number;
  weightFormat?: ModelConfig['weightFormat'];
  subNorms?: boolean;
}

const PRESET_NAMES = Object.keys(PRESETS).join(', ');
const WEIGHT_FORMATS: readonly ModelConfig['weightFormat'][] = ['float', 'ternary'];

/** Declares every option of TrainCommandOptions. */
export function addTrainOptions(command: Command): Command {
  addTextOptions(command.optionsGroup('Text and run directory:'));
  command.option('--tokenizer <file>', 'an existing tokenizer.json (default: a new one from the text)');
  addDirectoryOptions(command);
  addModelOptions(command);
  addRunOptions(command);
  return command;
}

function addModelOptions(command: Command): void {
  const count = (flags: string, text: string) => whole(command, flags, text, 1);
  command.optionsGroup('Model:').option('--preset <name>', `a named shape: ${PRESET_NAMES} (default: quickstart)`);
  count('--dim <n>', 'width of the residual stream');
  count('--hidden-dim <n>', 'width of the feed-forward (default: 2.75 dim)');
  count('--layers <n>', 'blocks');
  count('--heads <n>', 'attention heads');
  count('--kv-heads <n>', 'key/value heads (default: as heads)');
  count('--vocab-size <n>', 'size of the tokenizer to train');
  count('--seq-len <n>', 'context in tokens');
  addMethodOptions(command);
  command
    .addOption(choice('--weight-format <name>', 'ternary: BitNet b1.58, of latent f32 weights', WEIGHT_FORMATS))
    .option('--sub-norms', 'norms in front of the output projections of attention and feed-forward too (BitNet)');
  whole(command, '--experts <n>', 'experts, each a feed-forward of its own; 0 for one feed-forward', 0);
  count('--experts-per-token <n>', 'experts that each token goes through');
  real(command, '--router-load-balance <x>', 'coefficient of the load-balance loss, such as 0.01');
  real(command, '--router-z-loss <x>', "coefficient of the router's z-loss, such as 0.001");
}

/** The fields of the model that options give. */
export function modelFieldsOf(options: TrainCommandOptions): Partial<ModelConfigInput> {
  return given({
    dim: options.dim,
    hiddenDim: options.hiddenDim,
    nLayers: options.layers,
    nHeads: options.heads,
    nKvHeads: options.kvHeads,
    vocabSize: options.vocabSize,
    seqLen: options.seqLen,
    ...methodFieldsOf(options),
    nExperts: options.experts,
    nExpertsPerToken: options.expertsPerToken,
    routerLoadBalance: options.routerLoadBalance,
    routerZLoss: options.routerZLoss,
    weightFormat: options.weightFormat,
    subNorms: options.subNorms,
  });
}
