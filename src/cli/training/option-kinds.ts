/** How the commands that train declare their options: counts, real numbers, choices; and what was given of them. */

import { type Command, Option } from 'commander';
import { parseChoice, parseInteger, parseNumber, parsePositiveInteger } from '../shared/common-options.ts';

export function whole(command: Command, flags: string, text: string, least: 0 | 1): void {
  const name = flags.split(' ')[0];
  command.option(flags, text, least === 1 ? parsePositiveInteger(name) : parseInteger(name));
}

export function real(command: Command, flags: string, text: string): void {
  command.option(flags, text, parseNumber(flags.split(' ')[0], { min: 0 }));
}

export function choice(flags: string, text: string, choices: readonly string[]): Option {
  const option = new Option(flags, `${text}: ${choices.join(', ')}`);
  return option.argParser(parseChoice(flags.split(' ')[0], choices));
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields that were given: the others stay open for recipes, presets and defaults. */
export function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}
