/** f16 by look-up: every block of a quantised tensor begins or ends with one, and an F16 tensor consists of them. */

import { f16Value } from '../../tensor/f16.ts';

let values: Float32Array | undefined;

/** The f32 numbers of all 65536 f16 patterns; made when first asked for. */
export function halfValues(): Float32Array {
  values ??= Float32Array.from({ length: 65536 }, (_, bits) => f16Value(bits));
  return values;
}

/** The f16 at a byte, little-endian. */
export function halfAt(bytes: Uint8Array, at: number): number {
  return halfValues()[bytes[at] | (bytes[at + 1] << 8)];
}
