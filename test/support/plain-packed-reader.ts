/**
 * Reads the model.safetensors of a packed model by docs/formats.md alone: numbers, matrix by matrix, as plainly as possible.
 *
 * It shares nothing with src/. Slow, and trusting: files of other people belong to the project's reader.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

interface PlainMatrix {
  dtype: string;
  rows: number;
  cols: number;
  tensor: string;
  firstByte: number;
  scale?: string;
  scaleAxis?: 'rows' | 'cols';
  groupRows?: number;
}

export interface PlainTensor {
  dtype: string;
  shape: number[];
  /** From the start of the file. */
  begin: number;
  end: number;
}

export interface PlainPacked {
  metadata: Record<string, string>;
  tensors: Record<string, PlainTensor>;
  matrices: Record<string, PlainMatrix>;
  /** The weight at a place, scale applied, in f64. */
  weight(matrix: string, row: number, col: number): number;
  /** The integer (or number) that is stored there. */
  stored(matrix: string, row: number, col: number): number;
  scaleAt(matrix: string, row: number, col: number): number;
  /** Number `i` of an F32 tensor. */
  number(tensor: string, i: number): number;
  /** Names of tensors whose bytes do not have the hash that the metadata tell. */
  damaged(): string[];
}

export function readPlainPacked(path: string): PlainPacked {
  const bytes = readFileSync(path);
  const dataOffset = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, dataOffset));
  const metadata = header.__metadata__ as Record<string, string>;
  delete header.__metadata__;
  const tensors: Record<string, PlainTensor> = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries<never>(header)) {
    tensors[name] = { dtype, shape, begin: dataOffset + data_offsets[0], end: dataOffset + data_offsets[1] };
  }
  const matrices = JSON.parse(metadata.matrices) as Record<string, PlainMatrix>;
  const number = (tensor: string, i: number) => bytes.readFloatLE(tensors[tensor].begin + 4 * i);

  const stored = (name: string, row: number, col: number) => {
    const { dtype, tensor, firstByte } = matrices[name];
    const begin = tensors[tensor].begin + row * tensors[tensor].shape[1] + firstByte;
    if (dtype === 'f32') return bytes.readFloatLE(begin + 4 * col);
    if (dtype === 'bf16') return Buffer.from([0, 0, bytes[begin + 2 * col], bytes[begin + 2 * col + 1]]).readFloatLE();
    if (dtype === 'int8') return bytes.readInt8(begin + col);
    const [chunk, place] = [Math.floor(col / 128), col % 128];
    const four = bytes[begin + 32 * chunk + (place % 32)];
    return (Math.floor(four / 4 ** Math.floor(place / 32)) % 4) - 1;
  };
  const scaleAt = (name: string, row: number, col: number) => {
    const { scale, scaleAxis, groupRows, rows, cols } = matrices[name];
    if (scale === undefined) return 1;
    return number(scale, scaleAxis === 'rows' ? row : Math.floor(row / (groupRows ?? rows)) * cols + col);
  };
  const damaged = () => {
    const hashes = JSON.parse(metadata.sha256) as Record<string, string>;
    const hashOf = ({ begin, end }: PlainTensor) =>
      createHash('sha256').update(bytes.subarray(begin, end)).digest('hex');
    return Object.keys(tensors).filter(
      (name) => !name.startsWith('padding.') && hashes[name] !== hashOf(tensors[name]),
    );
  };
  const weight = (name: string, row: number, col: number) => stored(name, row, col) * scaleAt(name, row, col);
  return { metadata, tensors, matrices, weight, stored, scaleAt, number, damaged };
}
