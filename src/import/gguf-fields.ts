/**
 * The metadata of a GGUF file with a check at each value: counts, numbers and names under the prefix of the architecture. An error names the file, the
 * key and the byte at which its value lies.
 */

import type { GgufHeader, GgufValue } from '../formats/gguf-header.ts';
import { FormatError } from '../util/errors.ts';
import { shown } from '../util/problems.ts';

/** No extent of a model has more; products of several stay exact. */
const MOST = 2 ** 31 - 1;

export class GgufFields {
  readonly path: string;
  readonly architecture: string;
  readonly #header: Pick<GgufHeader, 'metadata' | 'places'>;

  /** Throws FormatError for a file that names no architecture. */
  constructor(header: Pick<GgufHeader, 'metadata' | 'places'>, path: string) {
    this.path = path;
    this.#header = header;
    const architecture = header.metadata.get('general.architecture');
    if (typeof architecture !== 'string') this.failAt('general.architecture', 'a name', architecture);
    this.architecture = architecture as string;
  }

  /** A whole number of at least 1 under the architecture's prefix; without `otherwise` it must be there. */
  count(name: string, otherwise?: number): number {
    const value = this.#value(name);
    if (value === undefined && otherwise !== undefined) return otherwise;
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MOST;
    return fits ? value : this.fail(name, 'a whole number of at least 1', value);
  }

  /** The same for what may differ by layer: an array must then hold one number over and over. */
  sameInAllLayers(name: string, otherwise?: number): number {
    const value = this.#value(name);
    if (!Array.isArray(value)) return this.count(name, otherwise);
    const [first] = value as GgufValue[];
    const fits = typeof first === 'number' && Number.isInteger(first) && first >= 1 && first <= MOST;
    return fits && value.every((one) => one === first)
      ? first
      : this.fail(name, 'the same whole number for all layers', value);
  }

  /** A number above 0, with the fewest digits that give the same f32. */
  number(name: string, otherwise?: number): number {
    const value = this.#value(name);
    if (value === undefined && otherwise !== undefined) return otherwise;
    const fits = typeof value === 'number' && value > 0 && value < Infinity;
    return fits ? shortest(value) : this.fail(name, 'a number above 0', value);
  }

  text(name: string): string | undefined {
    const value = this.#value(name);
    return value === undefined || typeof value === 'string' ? value : this.fail(name, 'a name', value);
  }

  has(name: string): boolean {
    return this.#value(name) !== undefined;
  }

  /** Is the key there, with another value than these, which stand for nothing? llama.cpp's saver writes every key that it knows. */
  isSet(name: string, ...nothing: readonly number[]): boolean {
    const value = this.#value(name);
    return value !== undefined && !nothing.includes(value as number);
  }

  fail(name: string, expected: string, found: unknown = this.#value(name)): never {
    return this.failAt(`${this.architecture}.${name}`, expected, found);
  }

  failAt(key: string, expected: string, found: unknown): never {
    const place = this.#header.places.get(key);
    const where = place === undefined ? '' : `at byte ${place}: `;
    const got = found === undefined ? 'none' : shown(typeof found === 'bigint' ? String(found) : found);
    throw new FormatError('import', `${this.path}: ${where}${key}: expected ${expected}, found ${got}.`, this.path);
  }

  #value(name: string): GgufValue | undefined {
    return this.#header.metadata.get(`${this.architecture}.${name}`);
  }
}

/** 1e-5 rather than 0.000009999999747378752, which is the same f32. */
function shortest(x: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const candidate = Number(x.toPrecision(digits));
    if (Math.fround(candidate) === x) return candidate;
  }
  return x;
}
