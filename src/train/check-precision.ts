/** Is a precision worth asking for on this backend? Emulated, bf16 products are slower than f32 ones and less exact. */

import type { Backend, Precision } from '../backend.ts';
import { BackendError } from '../util/errors.ts';

/** Throws BackendError for bf16 where the processor has no instruction for it. */
export function checkPrecision(precision: Precision, backend: Pick<Backend, 'description' | 'bf16'>): void {
  if (precision === 'f32' || backend.bf16) return;
  throw new BackendError(
    '--precision',
    `bf16: expected a processor with bf16 dot products (AVX-512 BF16, Arm BF16), got ${backend.description}. Use f32.`,
  );
}
