import { describe, expect, it } from 'vitest';
import { rowStride, wholeLines } from './row-stride.ts';

describe('rowStride', () => {
  it.each([
    [1, 64],
    [64, 64],
    [65, 128],
    [896, 896],
    [960, 960], // 15 lines
    [961, 1088], // 16 lines would be even
    [1024, 1088],
    [1088, 1088],
    [2048, 2112],
    [8192, 8256],
    [11264, 11328],
    [11328, 11328],
  ])('stores rows of %i bytes %i apart', (bytes, stride) => {
    expect(rowStride(bytes)).toBe(stride);
  });

  it('leads through all sets of a cache: no two of 64 long rows begin in the same one', () => {
    for (let bytes = 1024; bytes <= 65536; bytes += 52) {
      const sets = new Set(Array.from({ length: 64 }, (_, row) => ((row * rowStride(bytes)) / 64) % 64));
      expect(sets.size).toBe(64);
      expect(rowStride(bytes)).toBeGreaterThanOrEqual(bytes);
      expect(rowStride(bytes)).toBeLessThanOrEqual(wholeLines(bytes) + 64);
    }
  });
});
