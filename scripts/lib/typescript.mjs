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
  // Where compiling fails or is stopped, what it left must not pass for that of the last good state.
  rmSync(inRoot(STAMP), { force: true });
  // What a deleted source left behind would still be importable.
  rmSync(inRoot('dist'), { recursive: true, force: true });
  await executeOrFail(process.execPath, [TSC, '-p', 'tsconfig.build.json']);
  if (existsSync(inRoot(MAIN))) chmodSync(inRoot(MAIN), 0o755);
  writeStamp(STAMP, hash);
  return `dist/, ${sources.length} files`;
}

/** Checks the types of sources, tests, benchmarks and pages; what has not changed since the last time is remembered. */
export async function checkTypes() {
  const check = (project, name) => {
    const incremental = ['--incremental', '--tsBuildInfoFile', `build/${name}.tsbuildinfo`];
    return execute(process.execPath, [TSC, '-p', project, '--noEmit', '--pretty', 'false', ...incremental]);
  };
  // The pages have the types of a browser, everything else those of Node.
  const results = [await check('tsconfig.json', 'types'), await check('web/tsconfig.json', 'web-types')];
  const failed = results.filter(({ code }) => code !== 0);
  if (failed.length > 0) throw new StepError(failed.map(({ output }) => output).join('\n'));
  return 'no errors';
}
