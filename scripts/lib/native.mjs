/**
 * Builds build/native/qsparse.node from kernels/*.c with the system's C compiler and node-api-headers; no node-gyp.
 *
 * kernels/all.c becomes one object for each instruction set; dispatch.c chooses among them when the addon is loaded. A
 * missing compiler is a notice, not an error: the wasm kernels run everywhere.
 */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import {
  execute,
  executeOrFail,
  filesUnder,
  hashOf,
  inRoot,
  isCurrent,
  root,
  StepError,
  writeStamp,
} from './project.mjs';

export const ADDON = 'build/native/qsparse.node';
const OBJECTS = 'build/native/objects';
const STAMP = 'build/native/stamp';

/** Sources in kernels/ that are no kernels: dispatch, threads, memory and the two bindings. */
const MACHINERY = ['dispatch', 'pool', 'memory', 'napi', 'wasm'];

// No -ffast-math: NaN and infinities must behave. No errno and no floating-point traps: nobody reads them, and they
// forbid the compiler to vectorise a square root. Contraction (a * b + c rounded once) is wanted.
export const COMMON_FLAGS = [
  '-O3',
  '-std=gnu11',
  '-fPIC',
  '-ffp-contract=fast',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-fvisibility=hidden',
  '-pthread',
  '-Wall',
  '-Wno-psabi', // vectors wider than the baseline's registers are passed between inlined functions only
  '-Wno-unused-function',
];
const AVX2_FLAGS = ['-mavx2', '-mfma', '-mbmi', '-mbmi2', '-mpopcnt', '-mlzcnt', '-mf16c'];
const AVX512_FLAGS = ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mprefer-vector-width=512'];

/** Instruction sets of an architecture: the suffix of the table in kernels/dispatch.c and the flags of its unit. */
function instructionSets(arch) {
  if (arch !== 'x64') return { baseline: [] };
  return { sse2: [], avx2: AVX2_FLAGS, avx512: [...AVX2_FLAGS, ...AVX512_FLAGS] };
}

/**
 * The units of an architecture that are left out where the compiler is older than the instruction set. `define` tells
 * kernels/dispatch.c that the table is there; `probe` has the instruction in it, because an assembler may be older than its compiler.
 */
const NEWER_SETS = {
  x64: [
    {
      name: 'avx512bf16',
      flags: [...AVX2_FLAGS, ...AVX512_FLAGS, '-mavx512vnni', '-mavx512bf16'],
      define: '-DHAVE_AVX512BF16',
      probe:
        '__asm__("vdpbf16ps %zmm0, %zmm0, %zmm0");\nint f(void) { return __builtin_cpu_supports("avx512bf16"); }\n',
    },
  ],
  arm64: [
    {
      name: 'neondotprod',
      flags: ['-march=armv8.2-a+dotprod'],
      define: '-DHAVE_NEONDOTPROD',
      probe: '__asm__(".arch armv8.2-a+dotprod\\n sdot v0.4s, v0.16b, v0.16b");\n',
    },
    {
      name: 'neonbf16',
      flags: ['-march=armv8.2-a+dotprod+bf16'],
      define: '-DHAVE_NEONBF16',
      probe: '__asm__(".arch armv8.2-a+bf16\\n bfdot v0.4s, v0.8h, v0.8h");\n',
    },
  ],
};

/** Those of NEWER_SETS that the compiler can make; the architecture may have none. */
export async function findNewerSets(compiler, arch = process.arch) {
  const found = [];
  for (const set of NEWER_SETS[arch] ?? []) if (await compiles(compiler, set)) found.push(set);
  return found;
}

async function compiles(compiler, { flags, probe }) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'qsparse-probe-'));
  try {
    const source = path.join(folder, 'probe.c');
    writeFileSync(source, probe);
    const { code } = await execute(compiler, [...flags, '-c', source, '-o', path.join(folder, 'probe.o')]);
    return code === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `{ command, version }` of $CC, or of the first of cc, gcc, clang that answers; undefined where there is none. */
export async function findCompiler(env = process.env) {
  const candidates = env.CC ? [env.CC] : ['cc', 'gcc', 'clang'];
  for (const command of candidates) {
    const { code, output } = await execute(command, ['--version']);
    if (code === 0) return { command, version: output.split('\n')[0] };
  }
  if (env.CC) throw new StepError(`[build] CC=${env.CC} does not run. Unset CC, or name a C compiler.`);
  return undefined;
}

/** How to get a compiler on this system, for messages. */
export function compilerHint(platform = process.platform) {
  if (platform === 'darwin') return 'xcode-select --install';
  if (platform === 'win32') return 'run it under WSL with gcc';
  return 'apt-get install gcc libc6-dev (or dnf install gcc, apk add gcc musl-dev)';
}

export async function buildNative() {
  if (process.platform === 'win32') return 'skipped: Windows uses the wasm kernels';
  const compiler = await findCompiler();
  if (compiler === undefined) {
    return `skipped: no C compiler, so the slower wasm kernels are used. For the fast ones: ${compilerHint()}`;
  }
  const newer = await findNewerSets(compiler.command);
  const units = listUnits(compiler, newer);
  const hash = hashOf([], ...units.map((unit) => unit.object), process.platform);
  if (isCurrent(STAMP, hash, ADDON)) return 'current';
  // An addon that is linked and does not load must not pass for the last good one.
  rmSync(inRoot(STAMP), { force: true });
  mkdirSync(inRoot(OBJECTS), { recursive: true });
  await compileAll(compiler.command, units);
  await link(compiler.command, units);
  checkLoads();
  removeOldObjects(units);
  writeStamp(STAMP, hash);
  const without = (NEWER_SETS[process.arch] ?? []).filter((set) => !newer.includes(set)).map(({ name }) => name);
  const notice = without.length > 0 ? `; without ${without.join(' and ')}, which this compiler does not know` : '';
  return `${ADDON} (${compiler.version})${notice}`;
}

/** The units: a source, its flags, and an object named after the hash of all that it depends on, so that it is compiled once. */
export function listUnits(compiler, newer) {
  const headers = filesUnder('kernels', (file) => file.endsWith('.h'));
  const kernels = filesUnder(
    'kernels',
    (file) => file.endsWith('.c') && !MACHINERY.includes(path.basename(file, '.c')),
  );
  const include = path.join(path.dirname(createRequire(import.meta.url).resolve('node-api-headers')), 'include');
  const unit = (name, source, flags, dependencies) => {
    const hash = hashOf(dependencies, compiler.command, compiler.version, ...COMMON_FLAGS, ...flags, process.arch);
    return { source, flags, object: `${OBJECTS}/${name}-${hash.slice(0, 16)}.o` };
  };
  // The wide units take longest, so they start first.
  const sets = [
    ...Object.entries(instructionSets(process.arch)),
    ...newer.map(({ name, flags }) => [name, flags]),
  ].reverse();
  return [
    ...sets.map(([isa, flags]) =>
      unit(`kernels-${isa}`, 'kernels/all.c', [...flags, `-DISA=${isa}`], [...kernels, ...headers]),
    ),
    ...['dispatch', 'pool', 'memory', 'napi'].map((name) => {
      const source = `kernels/${name}.c`;
      const flags = name === 'napi' ? [`-I${path.relative(root, include)}`] : [];
      if (name === 'dispatch') flags.push(...newer.map(({ define }) => define));
      return unit(name, source, flags, [source, ...headers]);
    }),
  ];
}

async function compileAll(compiler, units) {
  const waiting = units.filter((unit) => !existsSync(inRoot(unit.object)));
  const worker = async () => {
    for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift()) await compile(compiler, unit);
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
}

/** Under a name of its own first: another build may run at the same time, and this one may be interrupted. */
async function compile(compiler, { source, flags, object }) {
  const next = `${object}.${process.pid}`;
  await executeOrFail(compiler, [...COMMON_FLAGS, ...flags, '-c', source, '-o', next]);
  renameSync(inRoot(next), inRoot(object));
}

async function link(compiler, units) {
  const flags = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  // A new file in place of the old one: writing over a library that a running process has mapped would crash it.
  const next = `${ADDON}.${process.pid}`;
  await executeOrFail(compiler, [...flags, '-pthread', ...units.map((unit) => unit.object), '-o', next]);
  renameSync(inRoot(next), inRoot(ADDON));
}

function checkLoads() {
  const addon = createRequire(import.meta.url)(inRoot(ADDON));
  if (addon.kernelNames.length === 0) throw new StepError(`[build] ${ADDON} loads, but has no kernels.`);
}

/** Objects of sources as they were an hour ago or longer; younger ones may belong to a build that runs beside this one. */
function removeOldObjects(units) {
  const inUse = new Set(units.map((unit) => path.basename(unit.object)));
  for (const name of readdirSync(inRoot(OBJECTS))) {
    const file = inRoot(OBJECTS, name);
    if (!inUse.has(name) && Date.now() - statSync(file).mtimeMs > 3_600_000) rmSync(file, { force: true });
  }
}
