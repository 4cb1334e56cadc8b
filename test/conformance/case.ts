/**
 * A conformance case: named tensors with contents, one kernel call on them, and which of them are outputs.
 *
 * A case holds no backend. `runCase` puts its tensors into the memory of any one, between guards, calls, and returns what
 * stands in every tensor afterwards; `compare.ts` judges. Outputs start as poison, so that a kernel that adds to what
 * it should overwrite is seen. Every second case starts off the 64-byte alignment: views of parameters do.
 */

import type { Backend, Kernels } from '../../src/backend.ts';
import type { SparseRows } from '../../src/tensor/sparse-rows.ts';
import {
  BYTES_PER_ELEMENT,
  type DataOf,
  type DType,
  type FloatTensor,
  type IntTensor,
  sizeOf,
  type Tensor,
  view,
} from '../../src/tensor/tensor.ts';

/** Contents of a tensor before the call; null: an output that the kernel must write whole. */
export interface TensorSpec {
  dtype: DType;
  shape: readonly number[];
  values: ArrayLike<number> | null;
}

/** How an output is compared: bit by bit, as codes of rounded numbers, or as floats whose natural size is `magnitude` (see compare.ts). */
export type Judgement = 'equal' | 'codes' | { magnitude: number };

export interface Case {
  kernel: keyof Kernels;
  name: string;
  tensors: () => Record<string, TensorSpec>;
  call: (kernels: Kernels, t: Tensors) => void;
  /** Tensors that the kernel writes; all others must be found unchanged. */
  outputs: Record<string, Judgement>;
}

/** The tensors of a running case by name. */
export class Tensors {
  private readonly byName: ReadonlyMap<string, Tensor>;

  constructor(byName: ReadonlyMap<string, Tensor>) {
    this.byName = byName;
  }

  float(name: string): FloatTensor {
    return this.any(name) as FloatTensor;
  }

  int(name: string): IntTensor {
    return this.any(name) as IntTensor;
  }

  f32(name: string): Tensor<'f32'> {
    return this.any(name) as Tensor<'f32'>;
  }

  i32(name: string): Tensor<'i32'> {
    return this.any(name) as Tensor<'i32'>;
  }

  i8(name: string): Tensor<'i8'> {
    return this.any(name) as Tensor<'i8'>;
  }

  u8(name: string): Tensor<'u8'> {
    return this.any(name) as Tensor<'u8'>;
  }

  f64(name: string): Tensor<'f64'> {
    return this.any(name) as Tensor<'f64'>;
  }

  /** The matrix of `NAME.start`, `NAME.index`, `NAME.value`. */
  rows(name: string, rows: number, cols: number): SparseRows {
    const [start, index, value] = [this.int(`${name}.start`), this.int(`${name}.index`), this.float(`${name}.value`)];
    return { rows, cols, start, index, value };
  }

  /** Whatever its dtype. */
  any(name: string): Tensor {
    const tensor = this.byName.get(name);
    if (!tensor) throw new Error(`the case has no tensor "${name}"`);
    return tensor;
  }
}

/** What outputs hold before a call, by dtype: integers need one of their own, since NaN stored among them is 0, which is often the right answer. */
export type Poison = Readonly<Record<DType, number>>;
/** For the oracle, and for the backend under test: NaN, so that reading one is seen. No two are alike, so that a place that neither writes differs. */
export const ORACLE_POISON: Poison = { f32: 777, f64: 777, i32: 777, i8: 99, u8: 0x5a, u16: 777 };
export const TESTED_POISON: Poison = {
  ...{ f32: Number.NaN, f64: Number.NaN },
  ...{ i32: -77, i8: -77, u8: 0xa5, u16: 0xa5a5 },
};

/** What stands in each tensor after the call. */
export type Outcome = Record<string, DataOf[DType]>;

export interface RunOptions {
  /** What outputs hold before the call. */
  poison: Poison;
  /** Elements by which every tensor starts off the alignment of the allocation. */
  shift: number;
}

/** 16 elements are 64 bytes of f32: a full vector that runs over an end is caught, and alignment is kept. */
const GUARD_ELEMENTS = 16;
const guardOf = (dtype: DType) => (BYTES_PER_ELEMENT[dtype] >= 4 ? 1234567 : 117);

/** Runs a case on a backend; `contents` is what `testCase.tensors()` gave. Throws where the kernel throws or wrote outside of a tensor. */
export function runCase(
  backend: Backend,
  testCase: Case,
  contents: Record<string, TensorSpec>,
  options: RunOptions,
): Outcome {
  // Rows of weights begin at multiples of 4 bytes.
  const shiftOf = ({ dtype }: TensorSpec) => (dtype === 'u8' ? 4 * options.shift : options.shift);
  const specs = Object.entries(contents);
  const memory = specs.map(([, spec]) => {
    return backend.allocate(spec.dtype, 2 * GUARD_ELEMENTS + shiftOf(spec) + sizeOf(spec.shape));
  });
  try {
    const tensors = specs.map(([, spec], i) => {
      memory[i].data.fill(guardOf(spec.dtype));
      const whole = { dtype: spec.dtype, shape: [memory[i].data.length], ...memory[i] };
      const tensor = view(whole, spec.shape, GUARD_ELEMENTS + shiftOf(spec));
      if (spec.values) tensor.data.set(spec.values);
      else tensor.data.fill(options.poison[spec.dtype]);
      return tensor;
    });
    testCase.call(backend.kernels, new Tensors(new Map(specs.map(([name], i) => [name, tensors[i]]))));
    const outcome: Outcome = {};
    specs.forEach(([name, spec], i) => {
      const first = GUARD_ELEMENTS + shiftOf(spec);
      expectGuards(name, memory[i].data, tensors[i].data.length, first, guardOf(spec.dtype));
      outcome[name] = tensors[i].data.slice();
    });
    return outcome;
  } finally {
    for (const block of memory) backend.free(block);
  }
}

function expectGuards(name: string, data: Outcome[string], length: number, first: number, guard: number): void {
  for (let i = 0; i < data.length; i++) {
    const inside = i >= first && i < first + length;
    if (!inside && data[i] !== guard) {
      throw new Error(`wrote outside of ${name}: element ${i - first} of ${length} became ${data[i]}`);
    }
  }
}
