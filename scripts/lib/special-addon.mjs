/** Addons of the build's own objects with another kernels/dispatch.c, for processors that lack an instruction set. */

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { COMMON_FLAGS, findCompiler, findNewerSets, listUnits } from './native.mjs';
import { executeOrFail, StepError } from './project.mjs';

const ADDON = 'build/native/qsparse.node';

/**
 * Links `folder`/build/native/qsparse.node out of what buildNative has compiled. dispatch.c is compiled with `dispatchFlags` besides its own,
 * `sources` are C files that are added.
 */
export async function linkSpecialAddon(folder, { dispatchFlags, sources = [] }) {
  const compiler = await findCompiler();
  const newer = compiler === undefined ? [] : await findNewerSets(compiler.command);
  if (!newer.some(({ name }) => name === 'avx512bf16'))
    throw new StepError('[build] needs a C compiler for x64 that knows AVX-512 BF16.');
  const others = listUnits(compiler, newer).filter(({ source }) => source !== 'kernels/dispatch.c');
  const made = [];
  const compile = async (source, flags) => {
    const object = path.join(folder, `${path.basename(source, '.c')}.o`);
    await executeOrFail(compiler.command, [...COMMON_FLAGS, ...flags, '-c', source, '-o', object]);
    made.push(object);
  };
  await compile('kernels/dispatch.c', [...newer.map(({ define }) => define), ...dispatchFlags]);
  for (const source of sources) await compile(source, []);
  const addon = path.join(folder, ADDON);
  mkdirSync(path.dirname(addon), { recursive: true });
  // Bound at once: an emulated processor would otherwise walk through the dynamic linker.
  const flags = ['-shared', '-pthread', '-Wl,-z,now'];
  const objects = [...others.map(({ object }) => object), ...made];
  await executeOrFail(compiler.command, [...flags, ...objects, '-ldl', '-o', addon]);
}
