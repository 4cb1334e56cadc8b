import { describe, expect, it } from 'vitest';
import { hash32, Prng, splitMix64 } from './prng.ts';

const take = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw);

describe('Prng', () => {
  it('is xoshiro128** 1.1', () => {
    // From state 1, 2, 3, 4: the vector of the authors' C code that rand_xoshiro tests against.
    const prng = Prng.fromState([1, 2, 3, 4]);
    expect(take(10, () => prng.uint32())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it('is seeded by SplitMix64', () => {
    const split = splitMix64(1234567n);
    const published = [6457827717110365317n, 3203168211198807973n, 9817491932198370423n, 4593380528125082431n];
    expect(take(4, split)).toEqual(published);
    const [low, high] = published;
    const words = [low & 0xffff_ffffn, low >> 32n, high & 0xffff_ffffn, high >> 32n].map(Number);
    expect(new Prng(1234567).state()).toEqual(words);
  });

  it('continues exactly from a state that went through JSON', () => {
    const prng = new Prng(42);
    take(101, () => prng.normal());
    const restored = Prng.fromState(JSON.parse(JSON.stringify(prng.state())));
    expect(take(50, () => restored.normal())).toEqual(take(50, () => prng.normal()));
  });

  it('gives other sequences for other seeds, negative ones too', () => {
    const firsts = [0, 1, -1, 2, 2 ** 32, 2 ** 40].map((seed) => new Prng(seed).uint32());
    expect(new Set(firsts).size).toBe(firsts.length);
  });

  it('has the moments of the uniform and of the normal distribution', () => {
    const prng = new Prng(7);
    const count = 100_000;
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const uniform = take(count, () => prng.next());
    expect(Math.min(...uniform.slice(0, 1000))).toBeGreaterThanOrEqual(0);
    expect(Math.abs(mean(uniform) - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / count));
    const normal = take(count, () => prng.normal());
    expect(Math.abs(mean(normal))).toBeLessThan(5 / Math.sqrt(count));
    expect(Math.abs(mean(normal.map((x) => x * x)) - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
    expect(Math.abs(mean(normal.map((x) => x ** 4)) - 3)).toBeLessThan(5 * Math.sqrt(96 / count));
  });

  it('draws below a limit, every value alike', () => {
    const prng = new Prng(3);
    const counts = new Array<number>(5).fill(0);
    for (let i = 0; i < 50_000; i++) counts[prng.below(5)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(5 * Math.sqrt(8000));
    expect(prng.below(1)).toBe(0);
  });

  it('refuses what is no state and no seed', () => {
    for (const state of [[], [0, 0, 0, 0], [1, 2, 3], [1, 2, 3, -1], [1, 2, 3, 2 ** 32], [1, 2, 3, 0.5]]) {
      expect(() => Prng.fromState(state)).toThrow(RangeError);
    }
    expect(() => new Prng(0.5)).toThrow(RangeError);
  });
});

describe('hash32', () => {
  it('is MurmurHash3 x86_32 over little-endian words', () => {
    // Published values for the empty input and for 4 bytes: ff ff ff ff and 21 43 65 87, seed 0.
    expect(hash32()).toBe(0);
    expect(hash32(0xffff_ffff)).toBe(0x76293b50);
    expect(hash32(0x87654321)).toBe(0xf55b516b);
    expect(hash32(0)).toBe(0x2362f9de);
  });

  it('tells the order and the number of words apart', () => {
    expect(hash32(1, 2)).not.toBe(hash32(2, 1));
    expect(hash32(1)).not.toBe(hash32(1, 0));
  });
});
