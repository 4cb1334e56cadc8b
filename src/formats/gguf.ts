/**
 * Opens a GGUF file, as llama.cpp reads and writes it: the header is read and checked at once, tensors when asked for and only the bytes that are
 * asked for. The layout is gguf-header.ts, what the element types mean ggml-types/.
 */

import type { ByteSource } from './byte-source.ts';
import { type GgufHeader, type GgufTensor, parseGgufHeader } from './gguf-header.ts';

/** An open file. `close` it: it holds a file descriptor. */
export interface GgufFile extends GgufHeader {
  readonly path: string;
  /**
   * Fills `out` with the elements of a tensor from `first` on, as f32; both a multiple of the elements of a block and inside of the tensor. Throws
   * FormatError where the file cannot be read.
   */
  read(tensor: GgufTensor, first: number, out: Float32Array): void;
  close(): void;
}

/** Takes over an open source and checks its header. Throws FormatError, and has closed the source then. */
export function openGguf(source: ByteSource): GgufFile {
  try {
    const header = parseGgufHeader(source);
    let bytes = new Uint8Array(0);
    const read = ({ type, byteOffset }: GgufTensor, first: number, out: Float32Array): void => {
      const length = (out.length / type.blockElements) * type.blockBytes;
      if (bytes.length < length) bytes = new Uint8Array(length);
      const piece = bytes.subarray(0, length);
      source.read(byteOffset + (first / type.blockElements) * type.blockBytes, piece);
      type.dequantize(piece, out);
    };
    return { ...header, path: source.path, read, close: () => source.close() };
  } catch (error) {
    source.close();
    throw error;
  }
}
