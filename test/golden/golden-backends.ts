/**
 * The backends that every golden file is compared on: the reference in both precisions, and the C kernels where they are built.
 */

import type { Backend } from '../../src/backend.ts';
import { loadBackend } from '../../src/backends/load-backend.ts';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import type { FloatType } from '../../src/tensor/tensor.ts';
import { missingReason } from '../conformance/built-backends.ts';

export interface GoldenBackend {
  name: string;
  dtype: FloatType;
  backend: Backend;
}

export async function goldenBackends(): Promise<GoldenBackend[]> {
  const found: GoldenBackend[] = [
    { name: 'reference f32', dtype: 'f32', backend: createReferenceBackend() },
    { name: 'reference f64', dtype: 'f64', backend: createReferenceBackend() },
  ];
  for (const name of ['native', 'wasm'] as const) {
    const reason = missingReason(name);
    // One that is built and does not load is a failure.
    if (reason === null) found.push({ name, dtype: 'f32', backend: await loadBackend({ backend: name, threads: 2 }) });
    else console.warn(`golden tests run without the ${name} backend: ${reason}`);
  }
  return found;
}
