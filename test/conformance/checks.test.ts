/**
 * Every kernel refuses every tensor that is one element short or of the wrong dtype, before it is entered: the cases of the
 * conformance suite with one tensor at a time made wrong.
 */

import { describe, expect, it } from 'vitest';
import type { Kernels } from '../../src/backend.ts';
import { checkKernels } from '../../src/backends/check-kernels.ts';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import type { DType, Tensor } from '../../src/tensor/tensor.ts';
import { ShapeError } from '../../src/util/errors.ts';
import { type Case, type TensorSpec, Tensors } from './case.ts';
import { casesByKernel } from './cases.ts';

const { allocate, kernels: real } = createReferenceBackend();

/** Reaching a kernel is the failure. */
const unreachable = Object.fromEntries(
  Object.keys(real).map((kernel) => [
    kernel,
    () => {
      throw new Error(`${kernel} was entered`);
    },
  ]),
) as unknown as Kernels;

const kernels = checkKernels(unreachable);

/** Any size fits these: there is no second tensor to compare with. */
const ANY_SIZE: readonly string[] = ['scale x', 'fill x'];

const WRONG: Record<DType, DType> = { f32: 'i32', f64: 'f32', i32: 'f32', i8: 'u8', u8: 'i8', u16: 'i32' };

function build(
  specs: Record<string, TensorSpec>,
  change?: { name: string; to: (spec: TensorSpec) => TensorSpec },
): Tensors {
  const tensors = Object.entries(specs).map(([name, spec]): [string, Tensor] => {
    const { dtype, shape, values } = name === change?.name ? change.to(spec) : spec;
    const { data, address } = allocate(
      dtype,
      shape.reduce((a, b) => a * b, 1),
    );
    data.set(Array.from(values ?? []).slice(0, data.length));
    return [name, { dtype, shape, data, address }];
  });
  return new Tensors(new Map(tensors));
}

const oneShort = (spec: TensorSpec): TensorSpec => ({ ...spec, shape: [spec.shape.reduce((a, b) => a * b, 1) - 1] });
const otherType = (spec: TensorSpec): TensorSpec => ({ ...spec, dtype: WRONG[spec.dtype] });

/** A case with more than one row and column, so that one element less fits nothing. */
function typicalCase(cases: readonly Case[]): Case {
  const typical = cases.find((testCase) => {
    const specs = Object.values(testCase.tensors());
    return specs.every(({ shape }) => shape.reduce((a, b) => a * b, 1) > 1);
  });
  if (!typical) throw new Error('no case is large enough');
  return typical;
}

describe('checks of', () => {
  for (const [kernel, cases] of casesByKernel()) {
    it(kernel, () => {
      const testCase = typicalCase(cases);
      const specs = testCase.tensors();
      expect(() => testCase.call(kernels, build(specs))).toThrow(`${kernel} was entered`);
      for (const name of Object.keys(specs)) {
        const type = build(specs, { name, to: otherType });
        expect(() => testCase.call(kernels, type), `${name} of another dtype`).toThrow(ShapeError);
        if (ANY_SIZE.includes(`${kernel} ${name}`)) continue;
        const short = build(specs, { name, to: oneShort });
        expect(() => testCase.call(kernels, short), `${name} one short`).toThrow(ShapeError);
        expect(() => testCase.call(kernels, short), `${name} one short`).toThrow(`[${kernel}]`);
      }
    });
  }
});
