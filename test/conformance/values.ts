/** Contents for conformance cases: a seeded generator, special floats, and matrices as lists of their non-zeros. */

import type { TensorSpec } from './case.ts';

/** Deterministic numbers from a text: a case has the same contents wherever it stands in the list. */
export class Values {
  private state: number;

  constructor(seed: string) {
    // FNV-1a, then mulberry32: small, and independent of the project's own generator.
    let hash = 0x811c9dc5;
    for (const character of seed) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
    this.state = hash >>> 0;
  }

  /** In [0, 1). */
  uniform(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in 0 .. limit - 1. */
  below(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  normals(count: number, std = 1): Float32Array {
    return Float32Array.from({ length: count }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
      return std * radius * Math.cos(2 * Math.PI * this.uniform());
    });
  }

  /** Normals with this share of zeros, some of them -0. */
  sparse(count: number, zeros: number): Float32Array {
    return this.normals(count).map((x) => (this.uniform() >= zeros ? x : this.uniform() < 0.5 ? 0 : -0));
  }
}

export function f32(shape: readonly number[], values: ArrayLike<number> | null): TensorSpec {
  return { dtype: 'f32', shape, values };
}

export function i32(shape: readonly number[], values: ArrayLike<number> | null): TensorSpec {
  return { dtype: 'i32', shape, values };
}

/** `NAME.start`, `NAME.index`, `NAME.value` of the non-zeros of a dense matrix, with exactly the capacity they need. */
export function rowsSpec(
  name: string,
  dense: ArrayLike<number>,
  rows: number,
  cols: number,
): Record<string, TensorSpec> {
  const start = [0];
  const index: number[] = [];
  const value: number[] = [];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      if (dense[r * cols + c] === 0) continue;
      index.push(c);
      value.push(dense[r * cols + c]);
    }
    start.push(index.length);
  }
  return {
    [`${name}.start`]: i32([rows + 1], start),
    [`${name}.index`]: i32([index.length], index),
    [`${name}.value`]: f32([index.length], value),
  };
}

/** Room for `capacity` elements, to be written by the kernel. */
export function emptyRowsSpec(name: string, rows: number, capacity: number): Record<string, TensorSpec> {
  return {
    [`${name}.start`]: i32([rows + 1], null),
    [`${name}.index`]: i32([capacity], null),
    [`${name}.value`]: f32([capacity], null),
  };
}

/** The smallest f32 above 0, and one in the middle of the denormals. */
export const DENORMALS = [2 ** -149, 2 ** -135] as const;

/** Rows that break selections: equal values, zeros of both signs, denormals, ties at every cut, infinities, NaN. */
export function specialRow(kind: (typeof SPECIAL_ROWS)[number], values: Values, cols: number): Float32Array {
  const pick = (from: readonly number[]) => Float32Array.from({ length: cols }, () => from[values.below(from.length)]);
  if (kind === 'all equal') return pick([0.5]);
  if (kind === 'equal magnitudes') return pick([0.5, -0.5]);
  if (kind === 'zeros') return pick([0]);
  if (kind === 'zeros of both signs') return pick([0, -0]);
  if (kind === 'denormals') return pick([DENORMALS[0], -DENORMALS[0], DENORMALS[1], -DENORMALS[1], 0]);
  if (kind === 'ties') return pick([0, 1, -1, 2, -2, 3]);
  if (kind === 'neighbouring floats') return pick([1, 1 + 2 ** -23, -1 - 2 ** -23, 1 - 2 ** -24]);
  if (kind === 'infinities') return pick([1, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38]);
  if (kind === 'NaN') return pick([1, -2, 0, Number.NaN, Number.POSITIVE_INFINITY]);
  if (kind === 'all NaN') return pick([Number.NaN]);
  // Wide exponents: 2^-126 .. 2^127.
  return Float32Array.from({ length: cols }, () => (values.uniform() - 0.5) * 2 ** (values.below(250) - 124));
}

export const SPECIAL_ROWS = [
  ...['all equal', 'equal magnitudes', 'zeros', 'zeros of both signs', 'denormals', 'ties'],
  ...['neighbouring floats', 'infinities', 'NaN', 'all NaN', 'wide exponents'],
] as const;
