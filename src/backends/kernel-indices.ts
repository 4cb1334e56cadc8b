/** The index of every C kernel in the table of one build, by name: the order of the table is that build's own. */

import { BackendError } from '../util/errors.ts';
import { C_KERNEL_NAMES, type CKernelName } from './c-kernel-names.ts';

/** Throws BackendError naming the kernels that the build lacks: it is then older than this source. */
export function kernelIndices(where: string, builtNames: readonly string[]): Readonly<Record<CKernelName, number>> {
  const missing = C_KERNEL_NAMES.filter((name) => !builtNames.includes(name));
  if (missing.length > 0) {
    throw new BackendError(where, `this build lacks the kernels ${missing.join(', ')}. Run \`npm run build\`.`);
  }
  const entries = C_KERNEL_NAMES.map((name) => [name, builtNames.indexOf(name)]);
  return Object.fromEntries(entries) as Record<CKernelName, number>;
}
