/**
 * Opens a checkpoint of llama2.c: sizes, then all weights as f32, one kind of tensor for all layers after the other.
 *
 * Two layouts: the old one without a magic number, seven i32 and the tensors of the first table, with two tables of rotary angles
 * before the classifier; and version 1, `ak42` and a header of 256 bytes, norms first. A file must have exactly the bytes that its sizes ask for, which is
 * also how a file of another kind is told apart. Version 2 (8 bits) is refused.
 * Source: karpathy/llama2.c, run.c (`memory_map_weights`) and export.py (`legacy_export`, `version1_export`).
 */

import { FormatError } from '../util/errors.ts';
import { openByteSource } from './open-byte-source.ts';

export interface Llama2cSizes {
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly vocabSize: number;
  readonly seqLen: number;
  /** The classifier is the embedding table. */
  readonly tied: boolean;
}

export type Llama2cTensorName =
  | ('embedding' | 'attentionNorm' | 'q' | 'k' | 'v' | 'o' | 'ffnNorm' | 'gate' | 'down' | 'up')
  | ('norm' | 'cos' | 'sin' | 'head');

export interface Llama2cTensor {
  readonly name: Llama2cTensorName;
  /** All layers behind one another; rows are outputs. */
  readonly layers: number;
  readonly rows: number;
  readonly cols: number;
  readonly byteOffset: number;
}

export interface Llama2cFile {
  readonly path: string;
  /** 0 is the layout without a number. */
  readonly version: 0 | 1;
  readonly sizes: Llama2cSizes;
  readonly tensors: ReadonlyMap<Llama2cTensorName, Llama2cTensor>;
  /** Of all of them. */
  readonly bytes: number;
  /** Fills `out` with the elements of a tensor from `first` on. Throws FormatError where the file cannot be read. */
  read(tensor: Llama2cTensor, first: number, out: Float32Array): void;
  close(): void;
}

const OLD_HEADER_BYTES = 28;
const NEW_HEADER_BYTES = 256;
/** `ak42` in the byte order of export.py. */
const MAGIC = 0x616b3432;
/** No extent is larger, so that products of three stay exact. */
const MOST = 2 ** 17;
const MOST_VOCABULARY = 2 ** 24;

const OLD_ORDER = [
  'embedding',
  'attentionNorm',
  'q',
  'k',
  'v',
  'o',
  'ffnNorm',
  'gate',
  'down',
  'up',
  'norm',
  'cos',
  'sin',
  'head',
] as const;
const NEW_ORDER = [
  'attentionNorm',
  'ffnNorm',
  'norm',
  'embedding',
  'q',
  'k',
  'v',
  'o',
  'gate',
  'down',
  'up',
  'head',
] as const;

/** Opens a file and checks its header and its size. `close` it. Throws FormatError. */
export function openLlama2c(path: string): Llama2cFile {
  const source = openByteSource(path, 'llama2.c');
  const fail = (what: string): never => {
    throw new FormatError('llama2.c', `${path}: ${what}`, path);
  };
  try {
    const header = new Uint8Array(Math.min(NEW_HEADER_BYTES, source.bytes));
    if (header.length < OLD_HEADER_BYTES)
      fail(`expected a header of ${OLD_HEADER_BYTES} bytes, found ${header.length}.`);
    source.read(0, header);
    const { version, sizes, headerBytes } = readSizes(new DataView(header.buffer), fail);
    const tensors = placeTensors(version === 0 ? OLD_ORDER : NEW_ORDER, sizes, headerBytes);
    const last = [...tensors.values()].at(-1)!;
    const end = last.byteOffset + bytesOf(last);
    if (end !== source.bytes) {
      fail(
        `expected the ${end} bytes of ${sizesText(sizes)}, found ${source.bytes}. Is it a whole llama2.c checkpoint?`,
      );
    }
    const read = ({ byteOffset }: Llama2cTensor, first: number, out: Float32Array): void => {
      source.read(byteOffset + 4 * first, new Uint8Array(out.buffer, out.byteOffset, out.byteLength));
    };
    return { path, version, sizes, tensors, bytes: end - headerBytes, read, close: () => source.close() };
  } catch (error) {
    source.close();
    throw error;
  }
}

interface Header {
  version: 0 | 1;
  sizes: Llama2cSizes;
  headerBytes: number;
}

function readSizes(view: DataView, fail: (what: string) => never): Header {
  const isOld = view.getUint32(0, true) !== MAGIC;
  if (!isOld) {
    if (view.byteLength < NEW_HEADER_BYTES)
      fail(`expected a header of ${NEW_HEADER_BYTES} bytes, found ${view.byteLength}.`);
    const version = view.getInt32(4, true);
    if (version !== 1) fail(`at byte 4: expected version 1 (f32), found ${version}. Export it anew with --version 1.`);
  }
  const first = isOld ? 0 : 8;
  const size = (index: number, name: string, most = MOST): number => {
    const value = view.getInt32(first + 4 * index, true);
    if (value >= 1 && value <= most) return value;
    return fail(
      `at byte ${first + 4 * index}: ${name}: expected 1 to ${most}, found ${value}. Is it a llama2.c checkpoint?`,
    );
  };
  // The sign of the vocabulary says whether the classifier is the embedding table; in version 1 a byte does.
  const vocabulary = view.getInt32(first + 20, true);
  const tied = isOld ? vocabulary > 0 : view.getUint8(36) !== 0;
  if (isOld) view.setInt32(20, Math.abs(vocabulary), true);
  const sizes = {
    ...{ dim: size(0, 'dim'), hiddenDim: size(1, 'hidden_dim'), nLayers: size(2, 'n_layers', 1024) },
    ...{ nHeads: size(3, 'n_heads'), nKvHeads: size(4, 'n_kv_heads') },
    ...{ vocabSize: size(5, 'vocab_size', MOST_VOCABULARY), seqLen: size(6, 'max_seq_len', MOST_VOCABULARY), tied },
  };
  const { dim, nHeads, nKvHeads } = sizes;
  if (dim % nHeads !== 0 || (dim / nHeads) % 2 !== 0 || nHeads % nKvHeads !== 0) {
    const expected = 'heads of an even width that divide dim, and as many queries for each key';
    fail(`at byte ${first}: expected ${expected}, found ${sizesText(sizes)}. Is it a llama2.c checkpoint?`);
  }
  return { version: isOld ? 0 : 1, sizes, headerBytes: isOld ? OLD_HEADER_BYTES : NEW_HEADER_BYTES };
}

function placeTensors(
  order: readonly Llama2cTensorName[],
  sizes: Llama2cSizes,
  headerBytes: number,
): Map<Llama2cTensorName, Llama2cTensor> {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, vocabSize, seqLen, tied } = sizes;
  const kvDim = (dim / nHeads) * nKvHeads;
  const angles = [1, seqLen, dim / nHeads / 2] as const;
  const shapes: Record<Llama2cTensorName, readonly [layers: number, rows: number, cols: number]> = {
    ...{
      embedding: [1, vocabSize, dim],
      attentionNorm: [nLayers, 1, dim],
      ffnNorm: [nLayers, 1, dim],
      norm: [1, 1, dim],
    },
    ...{ q: [nLayers, dim, dim], k: [nLayers, kvDim, dim], v: [nLayers, kvDim, dim], o: [nLayers, dim, dim] },
    ...{ gate: [nLayers, hiddenDim, dim], down: [nLayers, dim, hiddenDim], up: [nLayers, hiddenDim, dim] },
    ...{ cos: angles, sin: angles, head: [1, vocabSize, dim] },
  };
  const tensors = new Map<Llama2cTensorName, Llama2cTensor>();
  let byteOffset = headerBytes;
  for (const name of order) {
    if (name === 'head' && tied) continue;
    const [layers, rows, cols] = shapes[name];
    const tensor = { name, layers, rows, cols, byteOffset };
    tensors.set(name, tensor);
    byteOffset += bytesOf(tensor);
  }
  return tensors;
}

function bytesOf({ layers, rows, cols }: Llama2cTensor): number {
  return 4 * layers * rows * cols;
}

function sizesText({ dim, hiddenDim, nLayers, nHeads, nKvHeads, vocabSize, seqLen }: Llama2cSizes): string {
  const heads = `n_heads ${nHeads}, n_kv_heads ${nKvHeads}`;
  return `dim ${dim}, hidden_dim ${hiddenDim}, n_layers ${nLayers}, ${heads}, vocab_size ${vocabSize}, max_seq_len ${seqLen}`;
}
