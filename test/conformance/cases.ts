/** All conformance cases: kernel x shapes x special values, seeded, in the order of the kernel table. */

import type { Kernels } from '../../src/backend.ts';
import { cacheCases } from './cache-cases.ts';
import type { Case } from './case.ts';
import { layerCases } from './layer-cases.ts';
import { mixtureCases } from './mixture-cases.ts';
import { productCases } from './product-cases.ts';
import { quantizeCases } from './quantize-cases.ts';
import { selectionCases } from './selection-cases.ts';
import { trainingCases } from './training-cases.ts';
import { weightCases } from './weight-cases.ts';

export function casesByKernel(): Map<keyof Kernels, Case[]> {
  const byKernel = new Map<keyof Kernels, Case[]>();
  for (const testCase of [
    ...productCases(),
    ...weightCases(),
    ...quantizeCases(),
    ...selectionCases(),
    ...layerCases(),
    ...cacheCases(),
    ...mixtureCases(),
    ...trainingCases(),
  ]) {
    const cases = byKernel.get(testCase.kernel);
    if (cases) cases.push(testCase);
    else byKernel.set(testCase.kernel, [testCase]);
  }
  return byKernel;
}
