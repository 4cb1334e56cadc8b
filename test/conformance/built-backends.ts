/**
 * The backends of C kernels that this checkout has built. A backend counts as absent only where its file is missing: one that
 * is there and does not load must fail the tests, not skip them.
 */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Backend } from '../../src/backend.ts';

export type BuiltName = 'native' | 'wasm';

const ARTIFACTS: Readonly<Record<BuiltName, string>> = {
  native: 'build/native/qsparse.node',
  wasm: 'build/wasm/qsparse.wasm',
};

/** Why a backend cannot be tested here, or null where it can. */
export function missingReason(name: BuiltName): string | null {
  const path = fileURLToPath(new URL(`../../${ARTIFACTS[name]}`, import.meta.url));
  return existsSync(path) ? null : `${ARTIFACTS[name]} is missing: run \`npm run build\``;
}

export async function createBuiltBackend(name: BuiltName, threads: number): Promise<Backend> {
  if (name === 'native') {
    const { createNativeBackend } = await import('../../src/backends/native/native-backend.ts');
    return createNativeBackend({ threads });
  }
  const { createWasmBackend } = await import('../../src/backends/wasm/wasm-backend.ts');
  const { nodePlatform } = await import('../../src/backends/wasm/node-platform.ts');
  return createWasmBackend(nodePlatform, { threads });
}
