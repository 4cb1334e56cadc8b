/**
 * writePackedModel: f32 parameters, of a checkpoint or of another program's model, become a packed model on the disk, one stored tensor after the other.
 *
 * In memory are the parameters of one stored tensor, its packed bytes and nothing of the rest, whatever the size of the model. What the
 * file looks like is formats/packed-file.ts, that it appears whole or not at all formats/packed-directory.ts.
 */

import { writePackedDirectory } from '../formats/packed-directory.ts';
import { createPacked, type PackedWriter, type PlannedTensor } from '../formats/packed-file.ts';
import type { PackedMatrix } from '../formats/packed-metadata.ts';
import type { MatrixView } from '../tensor/matrix-view.ts';
import { readRow } from '../tensor/matrix-view.ts';
import { packMatrix } from '../tensor/pack-matrix.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { unpackRow } from '../tensor/unpack-row.ts';
import { newData } from '../tensor/view-of.ts';
import type { WeightMatrix, WeightType } from '../tensor/weight-matrix.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import { toMultiplied } from './checkpoint-parameters.ts';
import { type MatrixPlan, matrixOver, type PackOptions, planPacking, type StoredTensor } from './pack-plan.ts';
import { describeUnpacked, sourceOf } from './packed-matrices.ts';
import type { ParameterSource } from './parameter-source.ts';
import type { ParameterInfo } from './parameters.ts';

export interface WritePackedOptions extends PackOptions {
  /** Replaces what is at the target; without it a directory that is not empty makes the write fail at its end. */
  replace?: boolean;
  /** Looked at between two tensors; its reason is thrown, and nothing stays behind. */
  signal?: AbortSignal;
  /** Weights packed so far, of how many. */
  onProgress?: (done: number, total: number) => void;
}

/** What became of one matrix. */
export interface PackedMatrixReport {
  readonly name: string;
  readonly dtype: WeightType;
  readonly weights: number;
  /** Of the file: its share of the rows, with their gaps, and its scales. */
  readonly bytes: number;
  /** Largest |w - packed w|. */
  readonly largestError: number;
  /** Root of the mean square of the error, over that of the weights; 0 for weights of 0. */
  readonly relativeError: number;
}

export interface PackReport {
  readonly matrices: readonly PackedMatrixReport[];
  /** Norms and routers. */
  readonly unpackedBytes: number;
  /** Of model.safetensors. */
  readonly fileBytes: number;
}

/**
 * Packs a model into the directory `path`. Rejects with UsageError for options that do not fit the model, FormatError for parameters that
 * are missing, of another shape or not finite where their type must be, and where writing fails.
 */
export async function writePackedModel(
  source: ParameterSource,
  path: string,
  options: WritePackedOptions,
): Promise<PackReport> {
  const { config, tokenizer, tokenizerConfig, step } = source;
  const stored = planPacking(config, options);
  const unpacked = describeUnpacked(config);
  let report: PackReport | undefined;
  const writeModel = async (file: string) => {
    const description = { step, matrices: describe(stored) };
    const writer = createPacked(file, plannedTensors(stored, unpacked), description);
    try {
      const matrices = await packAll(source, stored, writer, options);
      for (const info of unpacked) writer.write(info.name, bytesOf(numbersOf(source, info)));
      writer.finish();
      const unpackedBytes = unpacked.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
      report = { matrices, unpackedBytes, fileBytes: writer.fileBytes };
    } finally {
      writer.close();
    }
  };
  await writePackedDirectory(path, { config, tokenizer, tokenizerConfig }, writeModel, {
    replace: options.replace ?? false,
  });
  return report!;
}

// ---- the plan as the file has it ----------------------------------------------------------------------------------------

/** Matrices, then scales, then what stays f32: what is read as a stream lies together. */
function plannedTensors(stored: readonly StoredTensor[], unpacked: readonly ParameterInfo[]): PlannedTensor[] {
  const rows = stored.map(({ name, rows, rowBytes }): PlannedTensor => {
    return { name, dtype: 'U8', shape: [rows, rowBytes], bytes: rows * rowBytes };
  });
  const numbers = (name: string, shape: readonly number[]): PlannedTensor => {
    return { name, dtype: 'F32', shape, bytes: 4 * sizeOf(shape) };
  };
  const scales = stored
    .flatMap(({ matrices }) => matrices)
    .flatMap(({ name, scaleShape }) => (scaleShape ? [numbers(scaleName(name), scaleShape)] : []));
  return [...rows, ...scales, ...unpacked.map(({ name, shape }) => numbers(name, shape))];
}

function describe(stored: readonly StoredTensor[]): Map<string, PackedMatrix> {
  const entries = stored
    .flatMap(({ matrices }) => matrices)
    .map((plan): [string, PackedMatrix] => {
      const { name, dtype, rows, cols, tensor, firstByte, scaleAxis, groupRows } = plan;
      const scale = plan.scaleShape && scaleName(name);
      return [name, { dtype, rows, cols, tensor, firstByte, scale, scaleAxis, groupRows }];
    });
  return new Map(entries);
}

function scaleName(matrix: string): string {
  return `${matrix}.scale`;
}

// ---- packing ------------------------------------------------------------------------------------------------------------

async function packAll(
  from: ParameterSource,
  stored: readonly StoredTensor[],
  writer: PackedWriter,
  { signal, onProgress }: WritePackedOptions,
): Promise<PackedMatrixReport[]> {
  const reports: PackedMatrixReport[] = [];
  const total = weightsIn(stored);
  let done = 0;
  for (const tensor of stored) {
    onProgress?.(done, total);
    // A signal arrives while the event loop turns.
    await turnEventLoop();
    signal?.throwIfAborted();
    reports.push(...packTensor(from, tensor, writer));
    done += weightsIn([tensor]);
  }
  onProgress?.(done, total);
  return reports;
}

function packTensor(from: ParameterSource, stored: StoredTensor, writer: PackedWriter): PackedMatrixReport[] {
  const bytes = heapTensor('u8', [stored.rows * stored.rowBytes]);
  const reports = stored.matrices.map((plan) => {
    const scale = plan.scaleShape && heapTensor('f32', plan.scaleShape);
    const numbers = numbersOf(from, plan.parameter);
    toMultiplied(from.config, plan.parameter, numbers);
    const source = sourceOf(plan, numbers);
    const matrix = matrixOver(plan, bytes, scale);
    packMatrix(source, matrix, plan);
    if (scale) writer.write(scaleName(plan.name), bytesOf(scale.data));
    return reportOf(plan, source, matrix, (stored.rows * stored.rowBytes) / stored.matrices.length);
  });
  writer.write(stored.name, bytes.data);
  return reports;
}

function reportOf(plan: MatrixPlan, source: MatrixView, matrix: WeightMatrix, rowBytes: number): PackedMatrixReport {
  const { name, dtype, rows, cols } = plan;
  const bytes = rowBytes + (matrix.scale ? matrix.scale.data.byteLength : 0);
  const size = { name, dtype, weights: rows * cols, bytes };
  if (dtype === 'f32') return { ...size, largestError: 0, relativeError: 0 };
  const [wanted, got] = [new Float32Array(cols), new Float32Array(cols)];
  let [largestError, errorSquares, squares] = [0, 0, 0];
  for (let row = 0; row < rows; row++) {
    readRow(source, row, wanted);
    unpackRow(matrix, row, got);
    for (let col = 0; col < cols; col++) {
      const error = Math.abs(wanted[col] - got[col]);
      if (error > largestError) largestError = error;
      errorSquares += error * error;
      squares += wanted[col] * wanted[col];
    }
  }
  return { ...size, largestError, relativeError: squares > 0 ? Math.sqrt(errorSquares / squares) : 0 };
}

function weightsIn(stored: readonly StoredTensor[]): number {
  return stored.reduce((sum, { matrices }) => matrices.reduce((s, { rows, cols }) => s + rows * cols, sum), 0);
}

/** One parameter in memory of its own. */
function numbersOf(source: ParameterSource, parameter: ParameterInfo): Float32Array {
  const numbers = new Float32Array(sizeOf(parameter.shape));
  source.read(parameter, numbers);
  return numbers;
}

/** Memory of JavaScript: packed bytes are on their way to a file. */
function heapTensor<D extends 'u8' | 'f32'>(dtype: D, shape: readonly number[]): Tensor<D> {
  return { dtype, shape, data: newData(dtype, sizeOf(shape)), address: 0 };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
