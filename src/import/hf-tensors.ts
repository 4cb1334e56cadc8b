/**
 * The tensors of a Hugging Face model as parameters of ours: under which names they lie, in what they are stored, and their f32 numbers in our layout.
 *
 * Names are those of model/hf-weights.ts, but for the experts of Mixtral. A projection lies there as [out, in] and goes, transposed, into columns of a fused
 * [in, out]: a block of its rows at a time, so that a few megabytes are in memory beside the result. BitNet's packed codes: rows r, r + out / 4,
 * r + 2 out / 4 and r + 3 out / 4 of a projection share the bytes of row r, two bits each from the lowest on, 0 to 2 for -1 to 1.
 * Source of that: transformers, integrations/bitnet.py.
 */

import type { PlacedTensor } from '../formats/sharded-safetensors.ts';
import { type HfPart, hfParts } from '../model/hf-weights.ts';
import type { ParameterInfo } from '../model/parameters.ts';
import { f16Value } from '../tensor/f16.ts';
import { shapeText } from '../tensor/tensor.ts';
import { FormatError } from '../util/errors.ts';
import type { HfModel } from './hf-config.ts';

type Model = Pick<HfModel, 'modelType' | 'quantization'>;

/** Of the file, read at once. */
const BLOCK_BYTES = 2 ** 22;
const CODES_PER_BYTE = 4;
const FLOATS: readonly string[] = ['F32', 'F16', 'BF16'];

/** One tensor of a parameter, checked. */
interface Source {
  readonly tensor: PlacedTensor;
  readonly part: HfPart;
  /** Codes in bytes instead of numbers. */
  readonly packed: boolean;
  /** What numbers or codes are multiplied by. */
  readonly scale: PlacedTensor | null;
}

/** The tensors that a parameter is made of, scales included. Throws FormatError for one that is missing or of another shape or dtype. */
export function sourcesOf(
  parameter: ParameterInfo,
  model: Model,
  tensors: ReadonlyMap<string, PlacedTensor>,
  path: string,
): Source[] {
  return hfParts(parameter).map((part) => {
    const name = nameOf(part.name, model);
    const tensor = tensors.get(name);
    const shape = shapeOf(part, parameter.shape);
    if (tensor === undefined) {
      const found = `found none of that name among ${tensors.size}`;
      throw new FormatError(
        'hugging-face',
        `${path}: expected the tensor ${name} ${shapeText(shape)}, ${found}.`,
        path,
      );
    }
    const quantized = model.quantization !== 'none' && parameter.projections.length > 0;
    const packed = quantized && tensor.dtype === 'U8';
    if (packed && shape[0] % CODES_PER_BYTE !== 0) fail(tensor, `whole bytes of ${CODES_PER_BYTE} codes`);
    const expected = packed ? [shape[0] / CODES_PER_BYTE, shape[1]] : shape;
    const dtypes = packed ? ['U8'] : FLOATS;
    if (!dtypes.includes(tensor.dtype) || shapeText(tensor.shape) !== shapeText(expected)) {
      fail(tensor, `${quantized ? [...FLOATS, 'U8'].join(', ') : dtypes.join(', ')} ${shapeText(expected)}`);
    }
    return { tensor, part, packed, scale: quantized ? scaleOf(tensor, tensors) : null };
  });
}

function scaleOf(tensor: PlacedTensor, tensors: ReadonlyMap<string, PlacedTensor>): PlacedTensor {
  const scale = tensors.get(`${tensor.name}_scale`);
  if (scale === undefined) fail(tensor, `the tensor ${tensor.name}_scale beside it, found only the codes,`);
  if (!FLOATS.includes(scale.dtype) || scale.shape.length !== 1 || scale.shape[0] !== 1) {
    fail(scale, `${FLOATS.join(', ')} [1]`);
  }
  return scale;
}

/** Fills `out`, all numbers of the parameter in our layout. Throws FormatError where one is not finite, no code, or cannot be read. */
export function readSources(
  sources: readonly Source[],
  { shape }: ParameterInfo,
  { quantization }: Model,
  out: Float32Array,
): void {
  const [rows, cols] = shape.length === 1 ? [1, shape[0]] : shape;
  for (const source of sources) {
    const factor = source.scale ? factorOf(source.scale, quantization === 'codes-divided') : 1;
    const { columns } = source.part;
    const place = columns === null ? { rows: 1, cols: rows * cols, first: 0 } : { rows, cols, first: columns.first };
    const readBlocks = source.packed ? readCodes : readNumbers;
    readBlocks(source.tensor, place, factor, out);
  }
}

/** Where output o, input i of a projection [out, in] goes: element i * cols + first + o. A tensor that stays as it is has one input. */
interface Place {
  readonly rows: number;
  readonly cols: number;
  readonly first: number;
}

function readNumbers(
  tensor: PlacedTensor,
  { rows: inputs, cols, first }: Place,
  factor: number,
  out: Float32Array,
): void {
  const elementBytes = tensor.dtype === 'F32' ? 4 : 2;
  const outputs = tensor.bytes / elementBytes / inputs;
  const step = Math.max(1, Math.floor(BLOCK_BYTES / (inputs * elementBytes)));
  const numbers = new Float32Array(Math.min(step, outputs) * inputs);
  for (let begin = 0; begin < outputs; begin += step) {
    const count = Math.min(step, outputs - begin);
    const block = numbers.subarray(0, count * inputs);
    readFloats(tensor, begin * inputs, block);
    for (let input = 0; input < inputs; input++) {
      const to = input * cols + first + begin;
      for (let o = 0; o < count; o++) out[to + o] = factor * block[o * inputs + input];
    }
  }
}

function readCodes(
  tensor: PlacedTensor,
  { rows: inputs, cols, first }: Place,
  factor: number,
  out: Float32Array,
): void {
  const quarter = tensor.shape[0];
  const step = Math.max(1, Math.floor(BLOCK_BYTES / inputs));
  const bytes = new Uint8Array(Math.min(step, quarter) * inputs);
  for (let begin = 0; begin < quarter; begin += step) {
    const count = Math.min(step, quarter - begin);
    const position = tensor.byteOffset + begin * inputs;
    tensor.file.read(position, bytes.subarray(0, count * inputs));
    const bad = bytes.subarray(0, count * inputs).findIndex((byte) => (byte & (byte >> 1) & 0b01010101) !== 0);
    if (bad >= 0) fail(tensor, 'codes 0, 1 and 2', `3 in byte ${position + bad}`);
    for (let input = 0; input < inputs; input++) {
      const to = input * cols + first + begin;
      for (let row = 0; row < count; row++) {
        const byte = bytes[row * inputs + input];
        for (let code = 0; code < CODES_PER_BYTE; code++) {
          out[to + row + code * quarter] = factor * (((byte >> (2 * code)) & 3) - 1);
        }
      }
    }
  }
}

/** What codes are multiplied by, as f32 like the products of transformers. */
function factorOf(scale: PlacedTensor, isDivisor: boolean): number {
  const number = new Float32Array(1);
  readFloats(scale, 0, number);
  if (!(number[0] > 0)) fail(scale, 'a number above 0', String(number[0]));
  return isDivisor ? Math.fround(1 / number[0]) : number[0];
}

/** Fills `into` with numbers of a tensor from element `first` on. */
function readFloats(tensor: PlacedTensor, first: number, into: Float32Array): void {
  const elementBytes = tensor.dtype === 'F32' ? 4 : 2;
  const position = tensor.byteOffset + first * elementBytes;
  if (tensor.dtype === 'F32') {
    tensor.file.read(position, new Uint8Array(into.buffer, into.byteOffset, into.byteLength));
  } else {
    const halves = new Uint16Array(into.length);
    tensor.file.read(position, new Uint8Array(halves.buffer));
    if (tensor.dtype === 'BF16') widenBf16(halves, into);
    else for (const [i, bits] of halves.entries()) into[i] = f16Values()[bits];
  }
  const bad = into.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) fail(tensor, 'finite numbers', `${into[bad]} at byte ${position + bad * elementBytes}`);
}

function widenBf16(halves: Uint16Array, into: Float32Array): void {
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
}

let f16Table: Float32Array | null = null;

/** Every f16, by its bits. */
function f16Values(): Float32Array {
  f16Table ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => f16Value(bits));
  return f16Table;
}

const MIXTRAL_PROJECTIONS: Readonly<Record<string, string>> = { gate_proj: 'w1', down_proj: 'w2', up_proj: 'w3' };

function nameOf(name: string, { modelType }: Model): string {
  if (modelType !== 'mixtral') return name;
  return name
    .replace('.mlp.', '.block_sparse_moe.')
    .replace(/(\.experts\.\d+\.)(\w+)/, (_, at, projection) => `${at}${MIXTRAL_PROJECTIONS[projection]}`);
}

function shapeOf({ columns }: HfPart, shape: readonly number[]): readonly number[] {
  if (columns === null) return shape;
  return shape.length === 1 ? [columns.count] : [columns.count, shape[0]];
}

function fail(tensor: PlacedTensor, expected: string, found?: string): never {
  const { file, name, dtype, shape, byteOffset } = tensor;
  const got = found ?? `${dtype} ${shapeText(shape)}`;
  const at = `${file.path}: tensor ${name} at byte ${byteOffset}`;
  throw new FormatError('hugging-face', `${at}: expected ${expected}, found ${got}.`, file.path);
}
