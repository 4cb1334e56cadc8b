/** A backend over another kernel table: one that checks, that is timed, that is watched. */

import type { Backend, Kernels } from '../backend.ts';

/** The same backend over another kernel table, asked for at each use; memory and threads are those of `backend`. */
export function withKernels(backend: Backend, kernels: () => Kernels): Backend {
  return {
    name: backend.name,
    description: backend.description,
    threads: backend.threads,
    bf16: backend.bf16,
    get kernels() {
      return kernels();
    },
    allocate: (dtype, length) => backend.allocate(dtype, length),
    free: (memory) => backend.free(memory),
    ...(backend.mapFile && { mapFile: backend.mapFile.bind(backend) }),
    dispose: () => backend.dispose(),
  };
}
