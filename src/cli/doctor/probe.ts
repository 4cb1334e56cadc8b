/** What there is on this machine: a compiler, backends that load, instruction sets, and what is missing. */

import { execFile } from 'node:child_process';
import { arch, platform } from 'node:os';
import { promisify } from 'node:util';
import type { BackendName } from '../../backend.ts';
import { loadBackend } from '../../backends/load-backend.ts';
import { messageOf, withoutPlace } from '../../util/errors.ts';

export interface Compiler {
  command: string;
  version: string;
}

export interface BackendProbe {
  name: BackendName;
  works: boolean;
  /** The backend's own description, or why it cannot be used. */
  text: string;
}

/** What package.json allows: Vite builds the pages with no other. */
const NODE_RANGE = '20.19, 22.12 or newer';
const COMPILER_TIMEOUT_MS = 10_000;

/** The C compiler that a build would use: $CC, else the first of cc, gcc and clang that runs; null for none. */
export async function findCompiler(): Promise<Compiler | null> {
  const candidates = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang'];
  for (const command of candidates) {
    try {
      const { stdout } = await promisify(execFile)(command, ['--version'], { timeout: COMPILER_TIMEOUT_MS });
      return { command, version: stdout.split('\n')[0].trim() };
    } catch {
      // The next candidate; that there is none is a result, not an error.
    }
  }
  return null;
}

/** Loads each backend once and lets it go again. */
export async function probeBackends(threads: { threads?: number }): Promise<BackendProbe[]> {
  const probes: BackendProbe[] = [];
  for (const name of ['native', 'wasm', 'reference'] as const) {
    probes.push({ name, ...(await probe({ backend: name, ...threads })) });
  }
  return probes;
}

const KNOWN_SETS: Readonly<Partial<Record<string, readonly string[]>>> = {
  x64: ['sse2', 'avx2', 'avx512', 'avx512bf16'],
  arm64: ['neon', 'neondotprod', 'neonbf16'],
};

/** The instruction sets of the native backend that this CPU can run, the slowest first; empty without the addon. */
export async function probeInstructionSets(): Promise<string[]> {
  const known = KNOWN_SETS[arch()] ?? [];
  const usable: string[] = [];
  for (const isa of known) {
    if ((await probe({ backend: 'native', threads: 1, isa })).works) usable.push(isa);
  }
  return usable;
}

async function probe(options: Parameters<typeof loadBackend>[0]): Promise<Omit<BackendProbe, 'name'>> {
  try {
    const backend = await loadBackend(options);
    const text = backend.description;
    backend.dispose();
    return { works: true, text };
  } catch (error) {
    return { works: false, text: messageOf(error) };
  }
}

/** One line for each thing that is missing, with how to get it; a backend's own error says that best. */
export function listMissing(compiler: Compiler | null, backends: readonly BackendProbe[]): string[] {
  const missing = backends.filter(({ works }) => !works).map(({ text }) => withoutPlace(text));
  if (!isNodeSupported(process.versions.node)) {
    missing.unshift(`Node.js ${NODE_RANGE}: this is ${process.version}. Install it from nodejs.org.`);
  }
  if (compiler === null) missing.push(`no C compiler, to build the native backend with: ${compilerAdvice()}.`);
  return missing;
}

/** `version` as 20.19.1. */
export function isNodeSupported(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  return (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
}

function compilerAdvice(): string {
  if (platform() === 'darwin') return 'xcode-select --install';
  if (platform() === 'win32') return 'not needed on Windows, where the wasm backend runs';
  return 'apt-get install gcc libc6-dev (Debian, Ubuntu), dnf install gcc (Fedora), apk add build-base (Alpine)';
}
