/**
 * Damaged copies of binary files, for fast-check: bytes changed, cut out, repeated and moved, and numbers of 32 and 64 bits replaced by those that
 * parsers get wrong. Most damage goes to the beginning, where the header is.
 */

import fc from 'fast-check';

export type Mutation = (bytes: Buffer) => Buffer;

const NUMBERS = [
  0n,
  1n,
  7n,
  31n,
  2n ** 16n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** A share of the file; its square, for places near the beginning, half of the time. */
const aPlace = fc
  .tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.boolean())
  .map(([share, early]) => (early ? share ** 4 : share));

const aMutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(aPlace, fc.integer({ min: 0, max: 255 })).map(([place, byte]): Mutation => {
    return (bytes) => edited(bytes, place, (copy, at) => copy.writeUInt8(byte, at), 1);
  }),
  fc.tuple(aPlace, fc.integer({ min: 0, max: 7 })).map(([place, bit]): Mutation => {
    return (bytes) => edited(bytes, place, (copy, at) => copy.writeUInt8(copy[at] ^ (1 << bit), at), 1);
  }),
  fc.tuple(aPlace, fc.constantFrom(...NUMBERS)).map(([place, number]): Mutation => {
    return (bytes) => edited(bytes, place, (copy, at) => copy.writeBigUInt64LE(number, at), 8);
  }),
  fc.tuple(aPlace, fc.constantFrom(...NUMBERS)).map(([place, number]): Mutation => {
    return (bytes) => edited(bytes, place, (copy, at) => copy.writeUInt32LE(Number(number & 0xffffffffn), at), 4);
  }),
  aPlace.map(
    (place): Mutation =>
      (bytes) =>
        Buffer.from(bytes.subarray(0, Math.floor(place * bytes.length))),
  ),
  fc.tuple(aPlace, fc.integer({ min: 1, max: 64 })).map(([place, count]): Mutation => {
    return (bytes) => spliced(bytes, place, (at) => [bytes.subarray(0, at), bytes.subarray(at + count)]);
  }),
  fc.tuple(aPlace, fc.integer({ min: 1, max: 64 })).map(([place, count]): Mutation => {
    return (bytes) => spliced(bytes, place, (at) => [bytes.subarray(0, at + count), bytes.subarray(at)]);
  }),
  fc.tuple(aPlace, aPlace, fc.integer({ min: 1, max: 64 })).map(([from, to, count]): Mutation => {
    return (bytes) => edited(bytes, to, (copy, at) => copy.set(pieceAt(bytes, from, count), at), count);
  }),
);

/** One of `files` with up to six mutations, one after the other. */
export function aDamagedFile(files: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.constantFrom(...files), fc.array(aMutation, { minLength: 1, maxLength: 6 }))
    .map(([file, mutations]) => mutations.reduce((bytes, mutate) => mutate(bytes), file));
}

/** How many files a property damages: $QSPARSE_FUZZ_RUNS (`npm run fuzz`), or few enough for every `npm test`. */
export function fuzzRuns(few: number): { numRuns: number } {
  return { numRuns: Number(process.env.QSPARSE_FUZZ_RUNS ?? few) };
}

function edited(bytes: Buffer, place: number, edit: (copy: Buffer, at: number) => void, width: number): Buffer {
  const copy = Buffer.from(bytes);
  const room = copy.length - width;
  if (room >= 0) edit(copy, Math.floor(place * (room + 1)));
  return copy;
}

function spliced(bytes: Buffer, place: number, parts: (at: number) => Buffer[]): Buffer {
  return Buffer.concat(parts(Math.floor(place * bytes.length)));
}

function pieceAt(bytes: Buffer, place: number, count: number): Buffer {
  const at = Math.floor(place * Math.max(1, bytes.length - count + 1));
  return bytes.subarray(at, at + count);
}
