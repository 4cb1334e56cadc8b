/**
 * Seeded random numbers whose whole state is four integers, so that a run can be saved and continued exactly.
 *
 * The generator is xoshiro128** 1.1 (Blackman and Vigna, https://prng.di.unimi.it/xoshiro128starstar.c); a seed is spread over
 * its state by SplitMix64, as its authors advise. `hash32` is for values that must be a pure function of their
 * coordinates (seed, step, row) instead of the next of a sequence. Integers and `next` are the same on every machine;
 * `normal` goes through Math.log and Math.cos, which V8 computes in software, alike on every processor.
 */

export class Prng {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  /** Any integer seeds; seeds that agree in their low 64 bits are the same seed. Throws RangeError for other numbers. */
  constructor(seed: number) {
    const split = splitMix64(BigInt(seed));
    const low = split();
    const high = split();
    this.#set([low, low >> 32n, high, high >> 32n].map((word) => Number(word & 0xffff_ffffn)));
  }

  /** The generator that `state()` described. Throws RangeError unless it is four uint32 that are not all 0. */
  static fromState(state: readonly number[]): Prng {
    const isUint32 = (word: number) => Number.isInteger(word) && word >= 0 && word <= 0xffff_ffff;
    if (state.length !== 4 || !state.every(isUint32) || state.every((word) => word === 0)) {
      throw new RangeError(`[prng] a state is four uint32 that are not all 0, got [${state}].`);
    }
    const prng = new Prng(0);
    prng.#set(state);
    return prng;
  }

  /** Four uint32; JSON keeps them exactly. */
  state(): number[] {
    return [this.#a >>> 0, this.#b >>> 0, this.#c >>> 0, this.#d >>> 0];
  }

  /** A whole number, 0 .. 2^32 - 1, uniform. */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** Uniform in [0, 1), all 53 bits of it. */
  next(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 0x400_0000 + low) / 2 ** 53;
  }

  /** A whole number, 0 .. limit - 1, uniform without bias; limit is 1 .. 2^32. */
  below(limit: number): number {
    const unbiased = 2 ** 32 - (2 ** 32 % limit);
    for (;;) {
      const word = this.uint32();
      if (word < unbiased) return word % limit;
    }
  }

  /** Standard normal, by Box and Muller. The second value of the pair is dropped: it would be state beside the state. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  #set(state: readonly number[]): void {
    [this.#a, this.#b, this.#c, this.#d] = state as [number, number, number, number];
  }
}

/** SplitMix64 (Steele, Lea and Flood; https://prng.di.unimi.it/splitmix64.c): each call gives the next uint64. */
export function splitMix64(seed: bigint): () => bigint {
  let state = seed;
  return () => {
    state = BigInt.asUintN(64, state + 0x9e37_79b9_7f4a_7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
    return z ^ (z >> 31n);
  };
}

/** A uint32 that depends on every bit of the words (each taken modulo 2^32): MurmurHash3 x86_32 of them, seed 0. */
export function hash32(...words: readonly number[]): number {
  let hash = 0;
  for (const word of words) {
    const mixed = Math.imul(rotateLeft(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
    hash = (Math.imul(rotateLeft(hash ^ mixed, 13), 5) + 0xe6546b64) | 0;
  }
  hash ^= 4 * words.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
