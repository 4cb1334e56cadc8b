/**
 * The options that every command has, and the parsers of option values.
 *
 * A parser takes the name of its option first, so that the message says which value is wrong: `--threads: expected …`.
 * All of them throw UsageError, with which the command line ends with 2.
 */

import type { Command } from 'commander';
import type { BackendName } from '../../backend.ts';
import { nearestName, UsageError } from '../../util/errors.ts';

export interface CommonOptions {
  /** One JSON object on stdout, everything else on stderr. */
  json: boolean;
  /** Left out: as many as the machine has physical cores. */
  threads?: number;
  /** Left out: the fastest that works. */
  backend?: BackendName;
  /** Left out: the default of the command. */
  seed?: number;
}

const BACKENDS: readonly BackendName[] = ['native', 'wasm', 'reference'];
const parseBackend = parseChoice('--backend', BACKENDS);

type Parser<T> = (text: string) => T;

/** Adds --json alone, for commands that neither compute with kernels nor draw. */
export function addJsonOption(command: Command): Command {
  // Set apart from the option, so that the help does not show `(default: false)`.
  command.setOptionValueWithSource('json', false, 'default');
  return command.option('--json', 'print one JSON object on stdout, everything else on stderr');
}

/** Adds --json, --threads, --backend and --seed; their values have the type CommonOptions. */
export function addCommonOptions(command: Command): Command {
  addJsonOption(command).option(
    '--threads <n>',
    'threads of the kernels (default: all physical cores)',
    parsePositiveInteger('--threads'),
  );
  return addBackendOption(command).option(
    '--seed <n>',
    'seed of everything random: the same seed, the same result',
    parseInteger('--seed'),
  );
}

/** Adds --backend alone. */
export function addBackendOption(command: Command): Command {
  return command.option('--backend <name>', `${BACKENDS.join(', ')} (default: the fastest that works)`, parseBackend);
}

/** A whole number from 1 to `most`. */
export function parsePositiveInteger(name: string, most = Number.MAX_SAFE_INTEGER): Parser<number> {
  const range = most === Number.MAX_SAFE_INTEGER ? 'of at least 1' : `from 1 to ${most}`;
  return (text) =>
    checked(name, text, `a whole number ${range}`, (n) => Number.isSafeInteger(n) && n >= 1 && n <= most);
}

/** A whole number from 0. */
export function parseInteger(name: string, most = Number.MAX_SAFE_INTEGER): Parser<number> {
  const range = most === Number.MAX_SAFE_INTEGER ? 'of at least 0' : `from 0 to ${most}`;
  return (text) =>
    checked(name, text, `a whole number ${range}`, (n) => Number.isSafeInteger(n) && n >= 0 && n <= most);
}

/** Any finite number within `min` .. `max`, both allowed. */
export function parseNumber(name: string, { min = -Infinity, max = Infinity } = {}): Parser<number> {
  const bounds = [min > -Infinity ? `at least ${min}` : '', max < Infinity ? `at most ${max}` : ''].filter(Boolean);
  const wanted = ['a number', ...(bounds.length > 0 ? ['of', bounds.join(' and ')] : [])].join(' ');
  return (text) => checked(name, text, wanted, (n) => n >= min && n <= max);
}

/** A share in [0, 1), `0.6` or `60%`: all of the features can never be zero. */
export function parseShare(name: string): Parser<number> {
  return (text) => {
    const percent = text.trim().endsWith('%');
    const number = percent ? text.trim().slice(0, -1) : text;
    const share = toNumber(number) / (percent ? 100 : 1);
    if (share >= 0 && share < 1) return share;
    throw wrong(name, 'a share of at least 0 and below 1, such as 0.6 or 60%', text);
  };
}

/** Several values with commas between them, `0,0.4,0.6`, each read by `parse`. */
export function parseList<T>(name: string, parse: Parser<T>): Parser<T[]> {
  return (text) => {
    const parts = text.split(',').map((part) => part.trim());
    if (parts.some((part) => part === '')) throw wrong(name, 'values with commas between them', text);
    return parts.map(parse);
  };
}

/** One of `choices`; a misspelling is answered with the nearest. */
export function parseChoice<T extends string>(name: string, choices: readonly T[]): Parser<T> {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice !== undefined) return choice;
    const near = nearestName(text, choices);
    throw wrong(name, `one of ${choices.join(', ')}`, text, near ? ` Did you mean "${near}"?` : '');
  };
}

function checked(name: string, text: string, wanted: string, isRight: (value: number) => boolean): number {
  const value = toNumber(text);
  if (!Number.isFinite(value) || !isRight(value)) throw wrong(name, wanted, text);
  return value;
}

/** NaN for everything but a decimal number: Number() alone would take '', '0x10' and ' 1 '. */
function toNumber(text: string): number {
  return /^[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN;
}

function wrong(name: string, wanted: string, got: string, advice = ''): UsageError {
  return new UsageError(name, `expected ${wanted}, got "${got}".${advice}`);
}
