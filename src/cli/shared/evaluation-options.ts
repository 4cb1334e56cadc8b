/** What is evaluated: the options that eval and compare have alike. */

import type { Command } from 'commander';
import type { KvType } from '../../tensor/kv-slots.ts';
import type { DataPlaces } from '../eval/prepare-task.ts';
import { parseInteger, parseList, parsePositiveInteger } from './common-options.ts';
import { kvOption } from './kv-option.ts';
import { addTextFileOptions, type TextFileOptions } from './text-files.ts';

export interface EvaluationOptions extends DataPlaces, TextFileOptions {
  window?: number;
  maxTokens?: number;
  tasks?: string[];
  kv: KvType;
}

const collect = (value: string, values: string[] = []): string[] => [...values, value];

export function addEvaluationOptions(command: Command): Command {
  return addTextFileOptions(command, 'text whose perplexity is measured; .jsonl: a text a line, each by itself')
    .option('--window <n>', 'tokens of a window (default: 1024, or the context)', parsePositiveInteger('--window'))
    .option('--max-tokens <n>', 'only the first tokens of the text', parsePositiveInteger('--max-tokens'))
    .option(
      '--tasks <list>',
      'tasks with commas between them',
      parseList('--tasks', (text) => text),
    )
    .option('--data <place>', 'folder or file with the data of tasks; may be given several times', collect)
    .option('--shots <n>', 'examples in front of each prompt (default: what the task says)', parseInteger('--shots'))
    .option('--shots-data <place>', 'where examples come from (default: --data)')
    .option(
      '--limit <n>',
      'only the first items of each task, or of each of its groups',
      parsePositiveInteger('--limit'),
    )
    .addOption(kvOption());
}
