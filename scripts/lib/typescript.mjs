/** Compiles src/ to dist/ with tsc, where something has changed, and makes the command executable. */

import { chmodSync, existsSync, rmSync } from 'node:fs';
import { execute, executeOrFail, filesUnder, hashOf, inRoot, isCurrent, StepError, writeStamp } from './project.mjs';

const MAIN = 'dist/cli/main.js';
const STAMP = 'build/typescript.stamp';
export const TSC = 'node_modules/typescript/bin/tsc';

export async function buildTypeScript() {
  const sources = filesUnder('src', (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  const hash = hashOf([...sources, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']);
  if (isCurrent(STAMP, hash, MAIN)) return 'current';
  // What a deleted source left behind would still be importable.
  rmSync(inRoot('dist'), { recursive: true, force: true });
  await executeOrFail(process.execPath, [TSC, '-p', 'tsconfig.build.json']);
  if (existsSync(inRoot(MAIN))) chmodSync(inRoot(MAIN), 0o755);
  writeStamp(STAMP, hash);
  return `dist/, ${sources.length} files`;
}

/** Checks the types of sources, tests and benchmarks; what has not changed since the last time is remembered. */
export async function checkTypes() {
  const incremental = ['--incremental', '--tsBuildInfoFile', 'build/types.tsbuildinfo'];
  const args = [TSC, '-p', 'tsconfig.json', '--noEmit', '--pretty', 'false', ...incremental];
  const { code, output } = await execute(process.execPath, args);
  if (code !== 0) throw new StepError(output);
  return 'no errors';
}
