/** The element types of GGUF files that are read here, by their number, and the names of the others, so that an error can say what a file holds. */

import { BF16, F16, F32 } from './float-types.ts';
import type { GgmlType } from './ggml-type.ts';
import { Q4_K, Q5_K, Q6_K } from './k-types.ts';
import { IQ4_NL, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from './small-block-types.ts';
import { TQ1_0, TQ2_0 } from './ternary-types.ts';

export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map(
  [F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K, IQ4_NL, TQ1_0, TQ2_0].map((type) => [type.id, type]),
);

const OTHER_NAMES: Readonly<Record<number, string>> = {
  ...{ 4: 'Q4_2', 5: 'Q4_3', 9: 'Q8_1', 10: 'Q2_K', 11: 'Q3_K', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS' },
  ...{ 18: 'IQ3_XXS', 19: 'IQ1_S', 21: 'IQ3_S', 22: 'IQ2_S', 23: 'IQ4_XS', 24: 'I8', 25: 'I16', 26: 'I32' },
  ...{ 27: 'I64', 28: 'F64', 29: 'IQ1_M', 31: 'Q4_0_4_4', 32: 'Q4_0_4_8', 33: 'Q4_0_8_8', 36: 'IQ4_NL_4_4' },
  ...{ 37: 'IQ4_NL_4_8', 38: 'IQ4_NL_8_8', 39: 'MXFP4', 40: 'NVFP4' },
};

/** `IQ2_XS (17)`, or the number alone where ggml has no type of it that is known here. */
export function ggmlTypeText(id: number): string {
  const name = GGML_TYPES.get(id)?.name ?? OTHER_NAMES[id];
  return name === undefined ? String(id) : `${name} (${id})`;
}
