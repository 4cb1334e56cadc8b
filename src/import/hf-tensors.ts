/**
 * The tensors of a Hugging Face model as parameters of ours: under which names they lie, in what they are stored, and their f32 numbers in our layout.
 *
 * Names are those of model/hf-weights.ts, but for the experts of Mixtral. What lies there as [out, in] goes, transposed, into columns of our
 * [in, out] (source-matrix.ts). BitNet's packed codes: rows r, r + out / 4,
 * r + 2 out / 4 and r + 3 out / 4 of a projection share the bytes of row r, two bits each from the lowest on, 0 to 2 for -1 to 1.
 * Source of that: transformers, integrations/bitnet.py.
 */

import type { PlacedTensor } from '../formats/sharded-safetensors.ts';
import { type HfPart, hfParts, shapeOfPart } from '../model/hf-weights.ts';
import type { ParameterInfo } from '../model/parameters.ts';
import { f16Value } from '../tensor/f16.ts';
import { shapeText } from '../tensor/tensor.ts';
import { FormatError } from '../util/errors.ts';
import type { HfModel } from './hf-config.ts';
import { readTransposed, readWhole, type SourceMatrix } from './source-matrix.ts';

type Model = Pick<HfModel, 'modelType' | 'quantization'>;

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
    const shape = shapeOfPart(part, parameter.shape);
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
  const cols = shape[shape.length - 1];
  for (const source of sources) {
    const { tensor, part } = source;
    const factor = source.scale ? factorOf(source.scale, quantization === 'codes-divided') : 1;
    const matrix = source.packed ? codesOf(tensor, factor) : numbersOf(tensor, factor);
    const { path } = tensor.file;
    if (part.columns === null) readWhole(matrix, out, path);
    else readTransposed(matrix, { out, cols, first: part.columns.first }, path);
  }
}

/** A vector is a matrix of one column. */
function numbersOf(tensor: PlacedTensor, factor: number): SourceMatrix {
  const [rows, cols = 1] = tensor.shape;
  const read = (first: number, out: Float32Array) => {
    readFloats(tensor, first * cols, out);
    if (factor !== 1) for (let i = 0; i < out.length; i++) out[i] *= factor;
  };
  return { name: tensor.name, byteOffset: tensor.byteOffset, rows, cols, read };
}

function codesOf(tensor: PlacedTensor, factor: number): SourceMatrix {
  const [quarter, cols] = tensor.shape;
  const read = (first: number, out: Float32Array) => {
    const end = first + out.length / cols;
    for (let row = first; row < end; ) {
      const [code, begin] = [Math.floor(row / quarter), row % quarter];
      const count = Math.min(end - row, quarter - begin);
      const bytes = new Uint8Array(count * cols);
      const position = tensor.byteOffset + begin * cols;
      tensor.file.read(position, bytes);
      const to = (row - first) * cols;
      for (let i = 0; i < bytes.length; i++) {
        const bits = (bytes[i] >> (2 * code)) & 3;
        if (bits === 3) fail(tensor, 'codes 0, 1 and 2', `3 in byte ${position + i}`);
        out[to + i] = factor * (bits - 1);
      }
      row += count;
    }
  };
  return { name: tensor.name, byteOffset: tensor.byteOffset, rows: CODES_PER_BYTE * quarter, cols, read };
}

/** What codes are multiplied by, as f32 like the products of transformers. */
function factorOf(scale: PlacedTensor, isDivisor: boolean): number {
  const number = new Float32Array(1);
  readFloats(scale, 0, number);
  const factor = isDivisor ? Math.fround(1 / number[0]) : number[0];
  if (!(factor > 0 && Number.isFinite(factor))) fail(scale, 'a number above 0', String(number[0]));
  return factor;
}

/** Fills `into` with numbers of a tensor from element `first` on. */
function readFloats(tensor: PlacedTensor, first: number, into: Float32Array): void {
  if (tensor.dtype === 'F32') {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    tensor.file.read(tensor.byteOffset + 4 * first, bytes);
    return;
  }
  const halves = new Uint16Array(into.length);
  tensor.file.read(tensor.byteOffset + 2 * first, new Uint8Array(halves.buffer));
  if (tensor.dtype === 'BF16') {
    const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
    for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  } else {
    const values = f16Values();
    for (let i = 0; i < halves.length; i++) into[i] = values[halves[i]];
  }
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

function fail(tensor: PlacedTensor, expected: string, found?: string): never {
  const { file, name, dtype, shape, byteOffset } = tensor;
  const got = found ?? `${dtype} ${shapeText(shape)}`;
  const at = `${file.path}: tensor ${name} at byte ${byteOffset}`;
  throw new FormatError('hugging-face', `${at}: expected ${expected}, found ${got}.`, file.path);
}
