/** What an element type of ggml is to a reader: blocks of bytes that stand for a fixed number of weights. */

export interface GgmlType {
  readonly name: string;
  /** Its number in GGUF files. */
  readonly id: number;
  readonly blockElements: number;
  readonly blockBytes: number;
  /** Fills `out` with the f32 numbers of as many whole blocks of `bytes`. The caller sees to it that the two sizes fit. */
  readonly dequantize: (bytes: Uint8Array, out: Float32Array) => void;
}
