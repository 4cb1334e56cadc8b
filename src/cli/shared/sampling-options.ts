/** How the next token is drawn: the options that generate and chat have alike. */

import type { Command } from 'commander';
import { parseInteger, parseNumber } from './common-options.ts';

export interface SamplingOptions {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
}

export function addSamplingOptions(command: Command): Command {
  const share = (name: string) => parseNumber(name, { min: 0, max: 1 });
  return command
    .option('--temperature <t>', '0: always the most probable', parseNumber('--temperature', { min: 0 }), 0.8)
    .option('--top-k <n>', 'draw from the n most probable; 0: all', parseInteger('--top-k'), 0)
    .option('--top-p <p>', 'draw from the most probable that make up p', share('--top-p'), 1)
    .option('--min-p <p>', 'drop what is p times less probable than the best', share('--min-p'), 0);
}
