/**
 * The Kernels table of every backend that runs the C kernels: one wrapper for the native addon and for wasm.
 *
 * Owns the block of argument slots and the choice between one thread and all; the order of the slots, and which kernels take
 * several C calls, stand in c-kernels/ by family (each C file documents its own). Loading, memory and threads are the host's. A call
 * allocates nothing: a decoded token makes about a hundred of them, so slots are written into one block that the host reads.
 * Shapes are trusted here: check-kernels.ts stands in front.
 */

import type { Kernels } from '../backend.ts';
import type { CKernelName } from './c-kernel-names.ts';
import { attentionKernels } from './c-kernels/attention-kernels.ts';
import type { Call } from './c-kernels/call.ts';
import { elementKernels } from './c-kernels/element-kernels.ts';
import { feedForwardKernels } from './c-kernels/feed-forward-kernels.ts';
import { inferenceKernels } from './c-kernels/inference-kernels.ts';
import { mixtureKernels } from './c-kernels/mixture-kernels.ts';
import { normKernels } from './c-kernels/norm-kernels.ts';
import { productKernels } from './c-kernels/product-kernels.ts';
import { quantizeKernels } from './c-kernels/quantize-kernels.ts';
import { selectionKernels } from './c-kernels/selection-kernels.ts';
import { trainingKernels } from './c-kernels/training-kernels.ts';
import { weightKernels } from './c-kernels/weight-kernels.ts';

/** What a backend offers to run C kernels. */
export interface CKernelHost {
  /** At least 32 slots; `run` gives them to the kernel. Read anew at each call, so the host may replace it. */
  readonly args: Float64Array;
  /** Runs the kernel to its end, split into `parts` shares: all threads where left out, the calling one with 1. */
  run(kernel: CKernelName, parts?: number): void;
}

/**
 * Below this many operations or bytes a call runs on the calling thread alone: a thread does about 10 of them in a
 * nanosecond, and waking the others takes some microseconds.
 */
const SMALL_WORK = 32768;

/** All kernels of the Backend interface, run by `host`. Takes f32 tensors in the host's memory. */
export function createCKernels(host: CKernelHost): Kernels {
  const call = createCall(host);
  return {
    ...productKernels(call),
    ...weightKernels(call),
    ...quantizeKernels(call),
    ...selectionKernels(call),
    ...normKernels(call),
    ...attentionKernels(call),
    ...inferenceKernels(call),
    ...feedForwardKernels(call),
    ...mixtureKernels(call),
    ...trainingKernels(call),
    ...elementKernels(call),
  };
}

/** Seventeen parameters instead of a rest array, which would be allocated at each call. */
function createCall(host: CKernelHost): Call {
  return (
    kernel,
    work,
    s0,
    s1,
    s2,
    s3 = 0,
    s4 = 0,
    s5 = 0,
    s6 = 0,
    s7 = 0,
    s8 = 0,
    s9 = 0,
    s10 = 0,
    s11 = 0,
    s12 = 0,
    s13 = 0,
    s14 = 0,
    s15 = 0,
    s16 = 0,
  ) => {
    const args = host.args;
    args[0] = s0;
    args[1] = s1;
    args[2] = s2;
    args[3] = s3;
    args[4] = s4;
    args[5] = s5;
    args[6] = s6;
    args[7] = s7;
    args[8] = s8;
    args[9] = s9;
    args[10] = s10;
    args[11] = s11;
    args[12] = s12;
    args[13] = s13;
    args[14] = s14;
    args[15] = s15;
    args[16] = s16;
    host.run(kernel, work < SMALL_WORK ? 1 : undefined);
  };
}
