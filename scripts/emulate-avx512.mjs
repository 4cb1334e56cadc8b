/**
 * Runs tests with the AVX-512 and AVX-512 BF16 kernels on a processor that has neither: node scripts/emulate-avx512.mjs [arguments of vitest].
 *
 * The objects are those of the build. The addon around them has other tables, whose kernels run in an emulated processor (Bochs,
 * as the Python package bochscpu-python brings it; scripts/emulate/). So the instructions that the compiler chose are decoded and executed,
 * and what a processor's own arithmetic would do differently shows up. No time is measured by this. An emulated kernel is some
 * thousand times slower; without arguments, the conformance of both units, it takes some ten minutes.
 *
 * Tests see build/native/qsparse.node, therefore they run in a copy of src/ and test/ with that file in it. Needs Linux on x64, a C
 * compiler that knows AVX-512 BF16, and a Python with pip and a shared library ($PYTHON, else python3).
 */

import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildNative } from './lib/native.mjs';
import { execute, executeOrFail, inRoot, main, StepError, step } from './lib/project.mjs';
import { linkSpecialAddon } from './lib/special-addon.mjs';

const PACKAGE = 'bochscpu-python==0.4.0';
const UNITS = ['avx512', 'avx512bf16'];
/** With another set chosen, the two of UNITS have their conformance with one thread each. */
const DEFAULT_TESTS = ['test/conformance/native.test.ts', '-t', 'conformance of native avx512'];
const DEFAULT_ENVIRONMENT = { QSPARSE_ISA: 'avx2' };
const COPIED = ['src', 'test', 'recipes', 'package.json', 'tsconfig.json', 'vitest.config.ts', 'build/wasm'];
/** No test is too slow here. */
const TIMEOUT_MS = 24 * 3_600_000;

/** Dispatch takes every instruction set for supported, and our tables for those of the units. */
const DISPATCH_FLAGS = [
  '-D__builtin_cpu_supports(name)=1',
  ...UNITS.map((unit) => `-Dqsparse_kernels_${unit}=emulated_${unit}`),
];

/** Installs the emulator below `folder` and resolves to what emulated.c needs to find it. */
async function installEmulator(folder) {
  const python = process.env.PYTHON ?? 'python3';
  const print = 'import sysconfig; print("/".join(map(sysconfig.get_config_var, ("LIBDIR", "INSTSONAME"))))';
  const library = (await executeOrFail(python, ['-c', print])).trim();
  if (!library.includes('.so')) {
    throw new StepError(`[emulate] ${python} has no shared library. Name another one with PYTHON=PATH.`);
  }
  const packages = path.join(folder, 'python');
  await executeOrFail(python, ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', packages, PACKAGE]);
  return { EMULATE_PYTHON: library, EMULATE_PATH: JSON.stringify([inRoot('scripts/emulate'), packages]) };
}

function copyTests(folder) {
  for (const name of COPIED) cpSync(inRoot(name), path.join(folder, name), { recursive: true });
  symlinkSync(inRoot('node_modules'), path.join(folder, 'node_modules'));
}

await main(async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'emulate-'));
  try {
    await step('native kernels', buildNative);
    await step('addon', () =>
      linkSpecialAddon(folder, { dispatchFlags: DISPATCH_FLAGS, sources: ['scripts/emulate/emulated.c'] }),
    );
    let where;
    await step('emulator', async () => {
      where = await installEmulator(folder);
    });
    copyTests(folder);
    const given = process.argv.slice(2);
    const [tests, more] = given.length > 0 ? [given, {}] : [DEFAULT_TESTS, DEFAULT_ENVIRONMENT];
    const args = [inRoot('node_modules/vitest/vitest.mjs'), 'run', ...tests, `--testTimeout=${TIMEOUT_MS}`];
    const reporting = ['--reporter=verbose', '--passWithNoTests=false'];
    const env = { ...process.env, ...more, ...where };
    const { code } = await execute(process.execPath, [...args, ...reporting], { live: true, cwd: folder, env });
    process.exitCode = code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
