/**
 * A backend whose skipping of natural zeros can be switched off: what a dense model of the same shape would do.
 *
 * Speed is always stated against the best dense path. With a ReLU gate even sparsity 0 would skip closed channels,
 * which is part of what is measured, not of the yardstick. Off, countNonZeros reports every element as one, in almost
 * no time, and whoever asks whether skipping pays gets a no.
 */

import type { Backend } from '../../backend.ts';

export interface ZeroSkipping {
  readonly backend: Backend;
  /** Set between passes only. */
  enabled: boolean;
}

/** The same memory and threads as `backend`, which stays usable itself. */
export function switchableSkipping(backend: Backend): ZeroSkipping {
  const { kernels } = backend;
  const skipping: ZeroSkipping = {
    enabled: true,
    backend: {
      name: backend.name,
      description: backend.description,
      threads: backend.threads,
      bf16: backend.bf16,
      kernels: {
        ...kernels,
        countNonZeros(x, start) {
          if (skipping.enabled) kernels.countNonZeros(x, start);
          else countEverything(x.shape[x.shape.length - 1], start.data);
        },
      },
      allocate: (dtype, length) => backend.allocate(dtype, length),
      free: (memory) => backend.free(memory),
      ...(backend.mapFile && { mapFile: backend.mapFile.bind(backend) }),
      dispose: () => backend.dispose(),
    },
  };
  return skipping;
}

function countEverything(features: number, start: Int32Array): void {
  for (let row = 0; row < start.length; row++) start[row] = row * features;
}
