/**
 * readPackedWeights: the tensors of a packed model become ModelWeights, mapped where the backend can, else read into its memory.
 *
 * Owns the check that a file is complete for a configuration: every matrix, norm and router there, of the right shape, and nothing else. That the
 * file is sound in itself is formats/packed-metadata.ts. Neighbouring tensors are mapped together, in windows: pages at the border
 * of two tensors, huge ones in particular, then serve both.
 */

import type { Arena } from '../arena.ts';
import { isPadding, type PackedMatrix } from '../formats/packed-metadata.ts';
import type { PackedReader } from '../formats/packed-reader.ts';
import type { TensorInfo } from '../formats/safetensors-header.ts';
import { sizeOf, type Tensor, view } from '../tensor/tensor.ts';
import { viewOf } from '../tensor/view-of.ts';
import type { WeightMatrix } from '../tensor/weight-matrix.ts';
import { FormatError } from '../util/errors.ts';
import { assembleWeights } from './assemble-weights.ts';
import type { ModelConfig } from './config.ts';
import { describeMatrices, describeUnpacked, type FeedForwardLayout } from './packed-matrices.ts';
import { ffnNames } from './parameters.ts';
import type { ModelWeights } from './weights.ts';

/** Node 20 holds at most 4 GiB in one array; a matrix that is larger than a window has one of its own. */
const WINDOW_BYTES = 2 ** 31;

/**
 * Throws FormatError that names file, tensor and byte offset where the file does not fit the configuration, BackendError where the
 * memory cannot be had. `mmap: false` reads everything into memory of the backend although it could map.
 */
export function readPackedWeights(
  file: PackedReader,
  config: ModelConfig,
  arena: Arena,
  { mmap }: { mmap: boolean },
): ModelWeights {
  checkMatrices(file, config);
  const tensors = new Map<string, Tensor<'u8'>>();
  for (const window of windowsOf(file.tensors.values())) readWindow(file, window, arena, mmap, tensors);
  const matrices = new Map<string, WeightMatrix>();
  for (const [name, matrix] of file.matrices) matrices.set(name, matrixOf(matrix, file, tensors));
  const unpacked = new Map(
    describeUnpacked(config).map(({ name }) => [name, numbersOf(file.tensors.get(name)!, tensors)]),
  );
  return assembleWeights(config, matrices, unpacked);
}

// ---- what there must be -------------------------------------------------------------------------------------------------

function checkMatrices(file: PackedReader, config: ModelConfig): void {
  const layouts = Array.from(
    { length: config.nLayers },
    (_, layer): FeedForwardLayout => (file.matrices.has(`${ffnNames(config, layer)[0]}.gate`) ? 'channels' : 'fused'),
  );
  const ownHead = !config.tiedEmbeddings || file.matrices.has('head');
  const used = new Set<string>();
  const expected = new Set<string>();
  for (const { name, rows, cols, scaleAxis } of describeMatrices(config, layouts, ownHead)) {
    const found = file.matrices.get(name);
    if (found === undefined) fail(file, `at byte 8: expected the matrix "${name}" of its config.json, found none.`);
    if (found.rows !== rows || found.cols !== cols) {
      fail(
        file,
        `${place(file, found.tensor)}: expected "${name}" of [${rows}, ${cols}], found [${found.rows}, ${found.cols}]. ${BELONGS}`,
      );
    }
    if (found.scale !== null && found.scaleAxis !== scaleAxis) {
      fail(
        file,
        `${place(file, found.scale)}: expected scales by ${scaleAxis} for "${name}", found by ${found.scaleAxis}.`,
      );
    }
    expected.add(name);
    used.add(found.tensor).add(found.scale ?? found.tensor);
  }
  const foreign = [...file.matrices.keys()].find((name) => !expected.has(name));
  if (foreign !== undefined) fail(file, `at byte 8: the matrix "${foreign}" is none of its config.json. ${BELONGS}`);
  for (const { name, shape } of describeUnpacked(config)) {
    expectNumbers(file, name, shape);
    used.add(name);
  }
  const unknown = [...file.tensors.keys()].find((name) => !used.has(name) && !isPadding(name));
  if (unknown !== undefined) fail(file, `${place(file, unknown)} belongs to no matrix. ${BELONGS}`);
}

const BELONGS = 'Does config.json belong to these weights?';

function expectNumbers(file: PackedReader, name: string, shape: readonly number[]): void {
  const info = file.tensors.get(name);
  if (info === undefined) fail(file, `at byte 8: expected the tensor "${name}", found none. ${BELONGS}`);
  if (info.dtype === 'F32' && info.shape.join() === shape.join()) return;
  fail(
    file,
    `${place(file, name)}: expected F32 [${shape.join(', ')}], found ${info.dtype} [${info.shape.join(', ')}]. ${BELONGS}`,
  );
}

function place(file: PackedReader, tensor: string): string {
  return `tensor "${tensor}" at byte ${file.tensors.get(tensor)?.byteOffset}`;
}

// ---- memory -------------------------------------------------------------------------------------------------------------

interface Window {
  begin: number;
  end: number;
  tensors: TensorInfo[];
}

/** Runs of tensors, in the order of the file, of at most WINDOW_BYTES unless one tensor alone is larger. */
export function windowsOf(tensors: Iterable<TensorInfo>, windowBytes = WINDOW_BYTES): Window[] {
  const windows: Window[] = [];
  for (const info of tensors) {
    const [begin, end] = [info.byteOffset, info.byteOffset + info.bytes];
    const last = windows[windows.length - 1];
    if (isPadding(info.name) || info.bytes === 0) continue;
    if (last !== undefined && end - last.begin <= windowBytes) {
      last.tensors.push(info);
      last.end = end;
    } else {
      windows.push({ begin, end, tensors: [info] });
    }
  }
  return windows;
}

function readWindow(
  file: PackedReader,
  { begin, end, tensors }: Window,
  arena: Arena,
  mmap: boolean,
  into: Map<string, Tensor<'u8'>>,
): void {
  let memory = mmap && file.descriptor !== undefined ? arena.mapFile(file.descriptor, begin, end - begin) : undefined;
  if (memory === undefined) {
    memory = arena.tensor('u8', [end - begin]);
    file.read(begin, memory.data);
  }
  for (const { name, byteOffset, bytes } of tensors) into.set(name, view(memory, [bytes], byteOffset - begin));
}

function matrixOf(matrix: PackedMatrix, file: PackedReader, tensors: ReadonlyMap<string, Tensor<'u8'>>): WeightMatrix {
  const { dtype, rows, cols, tensor, firstByte, scale, scaleAxis, groupRows } = matrix;
  const stored = tensors.get(tensor)!;
  const data = view(stored, [sizeOf(stored.shape) - firstByte], firstByte);
  const scales = scale === null ? null : numbersOf(file.tensors.get(scale)!, tensors);
  return { dtype, rows, cols, rowBytes: file.tensors.get(tensor)!.shape[1], data, scale: scales, scaleAxis, groupRows };
}

/** The same memory as f32 numbers: it is aligned for them. */
function numbersOf({ name, shape }: TensorInfo, tensors: ReadonlyMap<string, Tensor<'u8'>>): Tensor<'f32'> {
  const { data, address } = tensors.get(name)!;
  return { dtype: 'f32', shape, data: viewOf(data.buffer, 'f32', data.byteOffset, sizeOf(shape)), address };
}

function fail(file: PackedReader, message: string): never {
  throw new FormatError('load-model', `${file.path}: ${message}`, file.path);
}
