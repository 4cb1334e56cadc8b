/**
 * What every script needs: the root of the project, steps that print one line with their time, stamps, commands.
 *
 * A stamp makes a step incremental: a file that holds the hash of everything that the step's output depends on. Hashes
 * of contents, not times of files: a checkout or a copy changes all times and nothing else.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const inRoot = (...parts) => path.join(root, ...parts);

/** An error whose text is all that the user should see (a compiler's output): printed without a stack. */
export class StepError extends Error {}

/** Runs `work` and prints `label: its result  time`. A failure prints the label, the full error, and is thrown on. */
export async function step(label, work) {
  const start = performance.now();
  const time = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  try {
    const result = (await work()) ?? 'done';
    console.log(`${label.padEnd(14)} ${result}  (${time()})`);
  } catch (error) {
    console.log(`${label.padEnd(14)} FAILED  (${time()})`);
    console.error(error instanceof StepError ? error.message : error);
    throw new StepError(`${label} failed`);
  }
}

/** Runs the main function of a script: a failed step, already printed, ends with exit code 1. */
export async function main(run) {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof StepError)) console.error(error);
    process.exitCode = 1;
  }
}

/** Runs a command to its end and resolves to `{ code, output }`; `live` shows its output as it comes instead. */
export function execute(command, args, { live = false, cwd = root, env = process.env } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', live ? 'inherit' : 'pipe', live ? 'inherit' : 'pipe'],
    });
    let output = '';
    child.stdout?.on('data', (text) => {
      output += text;
    });
    child.stderr?.on('data', (text) => {
      output += text;
    });
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** As `execute`, but another exit code than 0 is a StepError with the command and its whole output. */
export async function executeOrFail(command, args, options) {
  const { code, output } = await execute(command, args, options);
  if (code !== 0) throw new StepError(`${command} ${args.join(' ')}\nended with ${code}\n${output}`);
  return output;
}

/** All files under a folder of the project whose names match, sorted; paths relative to the root. */
export function filesUnder(folder, matches) {
  if (!existsSync(inRoot(folder))) return [];
  return readdirSync(inRoot(folder), { recursive: true })
    .map((name) => path.join(folder, name))
    .filter(matches)
    .sort();
}

/** The hash of files' names and contents, and of further texts. */
export function hashOf(files, ...texts) {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(inRoot(file)))
      .update('\0');
  for (const text of texts) hash.update(`${text}\0`);
  return hash.digest('hex');
}

/** Whether `output` exists and was made from what `hash` stands for. */
export function isCurrent(stamp, hash, output) {
  return existsSync(inRoot(output)) && existsSync(inRoot(stamp)) && readFileSync(inRoot(stamp), 'utf8') === hash;
}

export function writeStamp(stamp, hash) {
  mkdirSync(path.dirname(inRoot(stamp)), { recursive: true });
  writeFileSync(inRoot(stamp), hash);
}
