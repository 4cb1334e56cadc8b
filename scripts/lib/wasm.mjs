/**
 * Builds build/wasm/qsparse.wasm from kernels/wasm.c with clang from npm (@yowasp/clang: clang itself as wasm), so that it
 * needs no tool-chain. Run as a program (node scripts/lib/wasm.mjs) it compiles; buildWasm() does that in a child process,
 * for the compiler keeps its thread busy for seconds while others build beside it.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { executeOrFail, filesUnder, hashOf, inRoot, isCurrent, root, StepError, writeStamp } from './project.mjs';

export const MODULE = 'build/wasm/qsparse.wasm';
const STAMP = 'build/wasm/stamp';

const STACK_BYTES = 1 << 18;
const FLAGS = [
  '--target=wasm32-unknown-unknown',
  '-O3',
  '-std=gnu11',
  '-ffreestanding',
  '-nostdlib',
  '-msimd128',
  '-matomics',
  '-mbulk-memory',
  '-ffp-contract=fast',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-Wall',
  '-Wno-unused-function',
  '-Wl,--no-entry',
  '-Wl,--import-memory',
  '-Wl,--shared-memory',
  '-Wl,--max-memory=4294967296',
  // The stack first: one that overflows traps at address 0 instead of running into the data.
  '-Wl,--stack-first',
  `-Wl,-z,stack-size=${STACK_BYTES}`,
  '-Wl,--export=__stack_pointer',
  '-Wl,--export=__heap_base',
];

export async function buildWasm() {
  const version = JSON.parse(readFileSync(inRoot('node_modules/@yowasp/clang/package.json'), 'utf8')).version;
  const hash = hashOf(sources(), version, FLAGS.join(' '));
  if (isCurrent(STAMP, hash, MODULE)) return 'current';
  await executeOrFail(process.execPath, [fileURLToPath(import.meta.url)]);
  writeStamp(STAMP, hash);
  return `${MODULE} (clang ${version})`;
}

function sources() {
  return filesUnder('kernels', (file) => /\.[ch]$/.test(file) && !/(napi|pool|memory|dispatch)\.[ch]$/.test(file));
}

async function compile() {
  const { runClang } = await import('@yowasp/clang');
  const files = Object.fromEntries(
    sources().map((file) => [path.basename(file), readFileSync(path.join(root, file), 'utf8')]),
  );
  let messages = '';
  const stderr = (bytes) => {
    if (bytes !== null) messages += Buffer.from(bytes).toString();
  };
  const output = await runClang(['clang', ...FLAGS, 'wasm.c', '-o', 'qsparse.wasm'], files, {
    stderr,
    fetchProgress: () => {},
  }).catch((error) => {
    // The error itself carries all files: only what the compiler said is worth showing.
    throw new StepError(messages || `${error}`);
  });
  mkdirSync(inRoot('build/wasm'), { recursive: true });
  writeFileSync(inRoot(MODULE), output['qsparse.wasm']);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await compile().catch((error) => {
    console.error(error instanceof StepError ? error.message : error);
    process.exitCode = 1;
  });
}
