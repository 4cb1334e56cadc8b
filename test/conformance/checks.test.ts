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

/** For each set of tensors and dtypes that a kernel takes, a case with more than one row and column, so that one element less fits nothing. */
function typicalCases(cases: readonly Case[]): Case[] {
  const byForm = new Map<string, Case>();
  for (const testCase of cases) {
    const specs = Object.entries(testCase.tensors());
    const form = specs.map(([name, { dtype }]) => `${name} ${dtype}`).join();
    const isLarge = specs.every(([, { shape }]) => shape.every((size) => size > 1));
    if (isLarge && !byForm.has(form)) byForm.set(form, testCase);
  }
  return [...byForm.values()];
}

/** Kernels that take more than one form, lists or rows, with scales or without: how many of them the cases have at least. */
const FORMS: Partial<Record<keyof Kernels, number>> = {
  ...{ sparseMatmul: 2, weightMatvec: 4, weightMatmul: 4, weightDots: 4, weightRows: 2 },
  ...{ quantizeRows: 2, fakeQuantizeRows: 3, selectInput: 2, rmsNormRows: 2 },
  ...{ attention: 2, attentionBackward: 2, storeKv: 3, attentionCached: 3 },
};

describe('checks of', () => {
  for (const [kernel, cases] of casesByKernel()) {
    it(kernel, () => {
      const typical = typicalCases(cases);
      expect(typical.length).toBeGreaterThanOrEqual(FORMS[kernel] ?? 1);
      for (const testCase of typical) {
        const specs = testCase.tensors();
        expect(() => testCase.call(kernels, build(specs)), testCase.name).toThrow(`${kernel} was entered`);
        for (const name of Object.keys(specs)) {
          const type = build(specs, { name, to: otherType });
          expect(() => testCase.call(kernels, type), `${testCase.name}: ${name} of another dtype`).toThrow(ShapeError);
          // Any size fits a tensor that is alone.
          if (Object.keys(specs).length === 1) continue;
          const short = build(specs, { name, to: oneShort });
          expect(() => testCase.call(kernels, short), `${testCase.name}: ${name} one short`).toThrow(ShapeError);
          expect(() => testCase.call(kernels, short), `${testCase.name}: ${name} one short`).toThrow(`[${kernel}]`);
        }
      }
    });
  }
});
