/** How the wrappers of this folder run a C kernel. */

import type { CKernelName } from '../c-kernel-names.ts';

/** Runs one C kernel. `work` is about how many operations or bytes it takes; it is only compared with SMALL_WORK. */
export type Call = (
  kernel: CKernelName,
  work: number,
  s0: number,
  s1: number,
  s2: number,
  s3?: number,
  s4?: number,
  s5?: number,
  s6?: number,
  s7?: number,
  s8?: number,
  s9?: number,
  s10?: number,
  s11?: number,
  s12?: number,
  s13?: number,
  s14?: number,
  s15?: number,
  s16?: number,
) => void;

/** For kernels that run on the calling thread whatever their size. */
export const ONE_THREAD = 0;

/** A flag as a slot. */
export function bit(flag: boolean | undefined): 0 | 1 {
  return flag ? 1 : 0;
}
