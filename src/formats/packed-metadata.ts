/**
 * What makes a safetensors file a packed model: its metadata, which says what matrices lie in which tensors, and the hash of each tensor.
 *
 * Owns writing and every check of it, without touching files and without knowing a model: names, shapes, strides, scales and places must
 * fit each other and the header; whether they are those of a configuration is model/read-packed-weights.ts. Like a header, metadata are
 * hostile until they have passed. What a stranger needs to read such a file: docs/formats.md.
 */

import { WEIGHT_TYPES, type WeightMatrix, type WeightType, weightRowBytes } from '../tensor/weight-matrix.ts';
import { FormatError } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';
import {
  describe,
  LENGTH_BYTES,
  parseJsonObject,
  type SafetensorsHeader,
  type TensorInfo,
} from './safetensors-header.ts';

/** `format` of the metadata. Training checkpoints have "qsparse". */
const FORMAT = 'qsparse-packed';
/** Counts up when an older reader would misread the file. */
const FORMAT_VERSION = '1';
/** Tensors of this beginning hold nothing: they fill the file up to where the next one must begin. */
const PADDING_PREFIX = 'padding.';
/** Of the rows and of every tensor but padding. */
export const PACKED_ALIGNMENT = 64;
const METADATA_PLACE = `at byte ${LENGTH_BYTES}`;
/** Far above any model, and far below where sizes in bytes would lose their last digit. */
const LARGEST_EXTENT = 2 ** 31 - 1;

/** A matrix of the file. */
export interface PackedMatrix {
  readonly dtype: WeightType;
  readonly rows: number;
  readonly cols: number;
  /** The U8 tensor [rows, rowBytes] that holds it, and where in each row it begins. */
  readonly tensor: string;
  readonly firstByte: number;
  /** The F32 tensor of the scales; null for f32 and bf16. */
  readonly scale: string | null;
  readonly scaleAxis: WeightMatrix['scaleAxis'];
  readonly groupRows: number;
}

export interface PackedDescription {
  /** Training step of the checkpoint that it was made of. */
  readonly step: number;
  readonly matrices: ReadonlyMap<string, PackedMatrix>;
  /** SHA-256 of the bytes of every tensor but padding, 64 lower-case digits. */
  readonly sha256: ReadonlyMap<string, string>;
}

/** Whether a file says of itself that it is a packed model, of whatever version. */
export function isPacked({ metadata }: SafetensorsHeader): boolean {
  return metadata.format === FORMAT;
}

/** Whether a tensor of a packed file only fills a gap. */
export function isPadding(name: string): boolean {
  return name.startsWith(PADDING_PREFIX);
}

/** The name of the padding in front of tensor number `index`. */
export function paddingName(index: number): string {
  return `${PADDING_PREFIX}${index}`;
}

export function encodePackedMetadata({ step, matrices, sha256 }: PackedDescription): Record<string, string> {
  const entries = [...matrices].map(([name, { scale, scaleAxis, groupRows, ...place }]) => [
    name,
    scale === null ? place : { ...place, scale, scaleAxis, groupRows },
  ]);
  return {
    format: FORMAT,
    formatVersion: FORMAT_VERSION,
    step: String(step),
    matrices: JSON.stringify(Object.fromEntries(entries)),
    sha256: JSON.stringify(Object.fromEntries(sha256)),
  };
}

/** Checks and reads the metadata of a file. Throws FormatError that names the matrix or tensor and the byte offset. */
export function parsePackedMetadata(header: SafetensorsHeader, path: string): PackedDescription {
  const { metadata, tensors } = header;
  if (!isPacked(header)) {
    fail(path, `${METADATA_PLACE}: expected the metadata format "${FORMAT}", found ${describe(metadata.format)}.`);
  }
  if (metadata.formatVersion !== FORMAT_VERSION) {
    const found = describe(metadata.formatVersion);
    const versions = `expected formatVersion "${FORMAT_VERSION}", found ${found}`;
    fail(path, `${METADATA_PLACE}: ${versions}. Use the version of qsparse that wrote it, or convert the model again.`);
  }
  const matrices = new Map<string, PackedMatrix>();
  for (const [name, value] of Object.entries(parseField(metadata, 'matrices', path))) {
    matrices.set(name, parseMatrix(name, value, tensors, path));
  }
  expectApart(matrices, tensors, path);
  for (const info of tensors.values()) expectAligned(info, path);
  return { step: parseStep(metadata.step, path), matrices, sha256: parseHashes(metadata, tensors, path) };
}

function parseField(metadata: SafetensorsHeader['metadata'], field: string, path: string): Record<string, unknown> {
  const text = metadata[field];
  if (text === undefined) fail(path, `${METADATA_PLACE}: expected the metadata ${field}, found none.`);
  return parseJsonObject(text, `the metadata ${field}`, METADATA_PLACE, path);
}

function parseStep(text: string | undefined, path: string): number {
  const step = /^\d+$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(step)) return step;
  return fail(path, `${METADATA_PLACE}: expected the metadata step to be a whole number, found ${describe(text)}.`);
}

function parseHashes(
  metadata: SafetensorsHeader['metadata'],
  tensors: SafetensorsHeader['tensors'],
  path: string,
): Map<string, string> {
  const hashes = new Map<string, string>();
  const found = parseField(metadata, 'sha256', path);
  for (const { name, byteOffset } of tensors.values()) {
    if (isPadding(name)) continue;
    const hash = Object.hasOwn(found, name) ? found[name] : undefined;
    if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) {
      fail(path, `tensor "${name}" at byte ${byteOffset}: expected a sha256 of 64 digits, found ${describe(hash)}.`);
    }
    hashes.set(name, hash);
  }
  return hashes;
}

// ---- matrices ---------------------------------------------------------------------------------------------------------

function parseMatrix(name: string, value: unknown, tensors: SafetensorsHeader['tensors'], path: string): PackedMatrix {
  const wrong = (what: string, found: unknown): never =>
    fail(path, `${METADATA_PLACE}: matrix "${name}": expected ${what}, found ${describe(found)}.`);
  if (!isObject(value)) return wrong('an object', value);
  const { dtype, rows, cols, tensor, firstByte, scale, scaleAxis = 'cols', groupRows = rows } = value;
  if (!WEIGHT_TYPES.includes(dtype as WeightType)) return wrong(`a dtype of ${WEIGHT_TYPES.join(', ')}`, dtype);
  if (!isExtent(rows) || !isExtent(cols)) return wrong('rows and cols of at least 1', [rows, cols]);
  if (typeof tensor !== 'string') return wrong('the name of its tensor', tensor);
  if (!isAligned(firstByte)) return wrong(`a firstByte that is a multiple of ${PACKED_ALIGNMENT}`, firstByte);
  const place = { dtype: dtype as WeightType, rows, cols, tensor, firstByte };
  expectRows(name, place, tensors.get(tensor), path);
  if (dtype === 'f32' || dtype === 'bf16') {
    if (scale !== undefined) return wrong(`no scale beside ${dtype}`, scale);
    return { ...place, scale: null, scaleAxis: 'cols', groupRows: rows };
  }
  if (typeof scale !== 'string') return wrong(`the name of the scales beside ${dtype}`, scale);
  if (scaleAxis !== 'rows' && scaleAxis !== 'cols') return wrong('a scaleAxis of rows or cols', scaleAxis);
  if (!isExtent(groupRows) || groupRows > rows) return wrong(`groupRows of 1 to ${rows}`, groupRows);
  if (groupRows < rows && (dtype === 'ternary' || scaleAxis === 'rows')) return wrong('one group', groupRows);
  expectScales(name, { ...place, scaleAxis, groupRows }, scale, tensors.get(scale), path);
  return { ...place, scale, scaleAxis, groupRows };
}

type Place = Pick<PackedMatrix, 'dtype' | 'rows' | 'cols' | 'tensor' | 'firstByte'>;

/** The tensor of a matrix is there, and every row of the matrix lies within a row of it. */
function expectRows(
  name: string,
  { dtype, rows, cols, tensor, firstByte }: Place,
  info: TensorInfo | undefined,
  path: string,
): void {
  if (info === undefined) fail(path, `${METADATA_PLACE}: matrix "${name}": there is no tensor "${tensor}".`);
  const wrong = (what: string) =>
    fail(path, `tensor "${tensor}" at byte ${info.byteOffset}: expected ${what}, found ${shapeOf(info)}.`);
  const [storedRows, rowBytes] = info.shape;
  if (info.dtype !== 'U8' || info.shape.length !== 2 || storedRows !== rows) {
    wrong(`U8 [${rows}, bytes of a row] of the matrix "${name}"`);
  }
  if (!isAligned(rowBytes)) wrong(`rows of a multiple of ${PACKED_ALIGNMENT} bytes`);
  const end = firstByte + weightRowBytes(dtype, cols);
  if (rowBytes < end)
    wrong(`rows of at least ${end} bytes, for ${cols} ${dtype} weights of "${name}" from byte ${firstByte} on`);
}

function expectScales(
  name: string,
  { rows, cols, scaleAxis, groupRows }: Pick<PackedMatrix, 'rows' | 'cols' | 'scaleAxis' | 'groupRows'>,
  scale: string,
  info: TensorInfo | undefined,
  path: string,
): void {
  if (info === undefined) fail(path, `${METADATA_PLACE}: matrix "${name}": there is no tensor "${scale}".`);
  const expected = scaleAxis === 'rows' ? [rows] : [Math.ceil(rows / groupRows), cols];
  if (info.dtype === 'F32' && info.shape.join() === expected.join()) return;
  const what = `F32 [${expected.join(', ')}], the scales of the matrix "${name}"`;
  fail(path, `tensor "${scale}" at byte ${info.byteOffset}: expected ${what}, found ${shapeOf(info)}.`);
}

/** Matrices of one tensor lie side by side. */
function expectApart(
  matrices: ReadonlyMap<string, PackedMatrix>,
  tensors: SafetensorsHeader['tensors'],
  path: string,
): void {
  const ordered = [...matrices].sort(([, a], [, b]) =>
    a.tensor < b.tensor ? -1 : a.tensor > b.tensor ? 1 : a.firstByte - b.firstByte,
  );
  for (let i = 1; i < ordered.length; i++) {
    const [[before, a], [name, b]] = [ordered[i - 1], ordered[i]];
    if (a.tensor !== b.tensor) continue;
    const end = a.firstByte + weightRowBytes(a.dtype, a.cols);
    if (b.firstByte >= end) continue;
    const place = `tensor "${b.tensor}" at byte ${tensors.get(b.tensor)?.byteOffset}`;
    fail(
      path,
      `${place}: the matrix "${name}" overlaps "${before}": expected it at byte ${end} of a row or later, found ${b.firstByte}.`,
    );
  }
}

function expectAligned({ name, byteOffset }: TensorInfo, path: string): void {
  if (isPadding(name) || byteOffset % PACKED_ALIGNMENT === 0) return;
  fail(path, `tensor "${name}" at byte ${byteOffset}: expected it at a multiple of ${PACKED_ALIGNMENT} bytes.`);
}

function isExtent(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= LARGEST_EXTENT;
}

function isAligned(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) % PACKED_ALIGNMENT === 0;
}

function shapeOf({ dtype, shape }: TensorInfo): string {
  return `${dtype} [${shape.join(', ')}]`;
}

function fail(path: string, message: string): never {
  throw new FormatError('packed', `${path}: ${message}`, path);
}
