/**
 * What the measuring scripts share: programs that print JSON, run as processes; the processor; result files.
 *
 * Every measurement is a process of its own, as a user would start it, so that neither memory nor threads of one are left when the
 * next begins.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.join(import.meta.dirname, '../..');
export const MAIN = path.join(ROOT, 'dist/cli/main.js');
const MEBIBYTE = 2 ** 20;

/** The object that a program prints. Throws as `runText`, and where it is no JSON. */
export function runJson(command, args) {
  return JSON.parse(runText(command, args));
}

/** What a program prints. Throws with the last lines of what it said on stderr where it fails. */
export function runText(command, args) {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * MEBIBYTE,
    });
  } catch (error) {
    const said = String(error.stderr ?? '')
      .trim()
      .split('\n')
      .slice(-5)
      .join('\n');
    throw new Error(`${command} ${args.join(' ')}\n${said || error.message}`);
  }
}

/** `qsparse ...args --json`, from dist/. */
export function qsparse(args) {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run npm run build first.`);
  return runJson(process.execPath, [MAIN, ...args, '--json']);
}

/** Which of the instructions that matter here the processor has; null where the system does not say. */
export function processorFlags() {
  const file = '/proc/cpuinfo';
  if (!existsSync(file)) return null;
  const flags = new Set((readFileSync(file, 'utf8').match(/^(?:flags|Features)\s*:\s*(.*)$/m)?.[1] ?? '').split(/\s+/));
  const names = [
    ...['avx2', 'fma', 'avx_vnni', 'avx512f', 'avx512_vnni', 'avx512vbmi', 'avx512_bf16', 'amx_bf16'],
    ...['asimd', 'asimddp', 'bf16'],
  ];
  return Object.fromEntries(names.map((name) => [name, flags.has(name)]));
}

export function readJson(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

export function writeJson(file, value) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, null, 1)}\n`);
}

/** The name of a run by its directory, without where it lies on this machine. */
export function runName(directory) {
  return path.basename(path.resolve(directory));
}
