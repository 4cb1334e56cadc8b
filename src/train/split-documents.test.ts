import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../util/errors.ts';
import { splitDocuments } from './split-documents.ts';

const validation = (sizes: number[], share: number, seed: number): number[] => {
  const split = splitDocuments(sizes, share, seed);
  return split.kind === 'documents' ? [...split.validation].sort((a, b) => a - b) : [];
};
const sum = (sizes: number[]) => sizes.reduce((total, size) => total + size, 0);

describe('splitDocuments', () => {
  it('leaves at least one document on each side', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 30 });
    const share = fc.double({ min: 0.001, max: 0.999, noNaN: true });
    fc.assert(
      fc.property(sizes, share, fc.integer(), (documentBytes, wanted, seed) => {
        const chosen = validation(documentBytes, wanted, seed);
        expect(chosen.length).toBeGreaterThan(0);
        expect(chosen.length).toBeLessThan(documentBytes.length);
        expect(validation(documentBytes, wanted, seed)).toEqual(chosen);
      }),
    );
  });

  it('comes near the share of the bytes', () => {
    const sizes = Array.from({ length: 1000 }, (_, i) => 100 + ((i * 7919) % 900));
    for (const share of [0.01, 0.05, 0.3]) {
      const bytes = validation(sizes, share, 1).reduce((total, i) => total + sizes[i], 0);
      expect(Math.abs(bytes / sum(sizes) - share)).toBeLessThan(0.002);
    }
  });

  it('does not give most of the text away where documents are unequal', () => {
    for (let seed = 0; seed < 20; seed++) expect(validation([1_000_000, 50, 60], 0.01, seed)).not.toContain(0);
    for (let seed = 0; seed < 20; seed++) expect(validation([500, 400], 0.05, seed)).toEqual([1]);
  });

  it('depends on the seed', () => {
    const sizes = new Array(100).fill(10);
    expect(validation(sizes, 0.1, 1)).not.toEqual(validation(sizes, 0.1, 2));
  });

  it('cuts a single document', () => {
    expect(splitDocuments([1000], 0.1, 0)).toEqual({ kind: 'inside', afterBytes: 900 });
  });

  it('refuses shares that leave one side empty', () => {
    for (const share of [0, 1, -0.1, 2, Number.NaN]) expect(() => splitDocuments([1, 2], share, 0)).toThrow(UsageError);
  });
});
