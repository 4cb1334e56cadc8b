/**
 * sampledHash: tells a file of weights from another one without reading gigabytes.
 *
 * A small file is hashed whole. Of a large one its size, its beginning, in which the header lies (that of a packed model holds the SHA-256 of every tensor),
 * and places spread over the rest, its end among them: another training changes all of them. It is no proof: a byte that was changed on
 * purpose between two places goes unseen.
 */

import { createHash } from 'node:crypto';
import { openByteSource } from './open-byte-source.ts';

export interface SampledHashOptions {
  /** Files of at most so many bytes are hashed whole. */
  wholeBytes?: number;
  headBytes?: number;
  samples?: number;
  sampleBytes?: number;
}

/** The first 16 hex digits of SHA-256. Throws FormatError for a file that cannot be read. */
export function sampledHash(
  path: string,
  { wholeBytes = 2 ** 26, headBytes = 2 ** 24, samples = 512, sampleBytes = 2 ** 12 }: SampledHashOptions = {},
): string {
  const source = openByteSource(path, 'load');
  try {
    const hash = createHash('sha256').update(`${source.bytes} `);
    const take = (position: number, count: number) => {
      const piece = new Uint8Array(count);
      source.read(position, piece);
      hash.update(piece);
    };
    const head = source.bytes <= wholeBytes ? source.bytes : headBytes;
    take(0, head);
    // As many steps from the head to the last place: the one that ends with the file.
    const step = (source.bytes - sampleBytes - head) / samples;
    for (let i = 1; head < source.bytes && i <= samples; i++) take(head + Math.floor(i * step), sampleBytes);
    return hash.digest('hex').slice(0, 16);
  } finally {
    source.close();
  }
}
