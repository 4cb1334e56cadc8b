/** The f32 numbers of a packed model, a parameter at a time: what was packed without loss comes out as it went in. */

import type { PackedFile } from '../formats/packed-file.ts';
import type { PackedMatrix } from '../formats/packed-metadata.ts';
import type { ModelConfig } from '../model/config.ts';
import { describeMatrices, type FeedForwardLayout, type MatrixRole } from '../model/packed-matrices.ts';
import { ffnNames, type ParameterInfo } from '../model/parameters.ts';
import { shapeText, sizeOf } from '../tensor/tensor.ts';
import { unpackRow } from '../tensor/unpack-row.ts';
import { newData } from '../tensor/view-of.ts';
import type { WeightMatrix, WeightType } from '../tensor/weight-matrix.ts';
import { FormatError } from '../util/errors.ts';

/** The types whose numbers are used as they are: integer ones go with activations of 8 bits, which other programs do not round. */
const EXACT_TYPES: readonly WeightType[] = ['f32', 'bf16'];

/**
 * Fills `out` with parameters of `file`. Every tensor that is read has its hash compared. Throws FormatError for a matrix that is missing, damaged,
 * of another shape, or of a type that is not exact.
 */
export function packedReader(file: PackedFile, config: ModelConfig): (info: ParameterInfo, out: Float32Array) => void {
  const roles = describeMatrices(config, layoutsIn(file, config), !config.tiedEmbeddings);
  return (info, out) => {
    const made = roles.filter(({ parameter }) => parameter.name === info.name);
    if (made.length === 0) readUnpacked(file, info, out);
    for (const role of made) readRole(file, role, info, out);
  };
}

function layoutsIn(file: PackedFile, config: ModelConfig): FeedForwardLayout[] {
  return Array.from({ length: config.nLayers }, (_, layer) =>
    file.matrices.has(`${ffnNames(config, layer)[0]}.gate`) ? 'channels' : 'fused',
  );
}

/** Norms and routers. */
function readUnpacked(file: PackedFile, { name, shape }: ParameterInfo, out: Float32Array): void {
  const found = file.tensors.get(name);
  if (found?.dtype !== 'F32' || shapeText(found.shape) !== shapeText(shape)) {
    fail(file, `expected the tensor "${name}", F32 ${shapeText(shape)}. Does config.json belong to these weights?`);
  }
  file.verify(name);
  file.read(found.byteOffset, new Uint8Array(out.buffer, out.byteOffset, found.bytes));
}

function readRole(file: PackedFile, role: MatrixRole, { shape }: ParameterInfo, out: Float32Array): void {
  const { columns, transposed } = role;
  const matrix = weightsOf(file, role, expectMatrix(file, role));
  const width = shape[shape.length - 1];
  const numbers = new Float32Array(role.cols);
  for (let row = 0; row < role.rows; row++) {
    unpackRow(matrix, row, numbers);
    if (!transposed) {
      out.set(numbers, row * width + columns.first);
      continue;
    }
    for (let col = 0; col < role.cols; col++) out[col * width + columns.first + row] = numbers[col];
  }
}

function expectMatrix(file: PackedFile, { name, rows, cols }: MatrixRole): PackedMatrix {
  const found = file.matrices.get(name);
  if (found?.rows !== rows || found.cols !== cols) {
    fail(file, `expected the matrix "${name}" of [${rows}, ${cols}]. Does config.json belong to these weights?`);
  }
  if (!EXACT_TYPES.includes(found.dtype)) {
    const what = `"${name}" was rounded to ${found.dtype}: expected ${EXACT_TYPES.join(' or ')}`;
    fail(file, `${what}. Export the run or checkpoint that it was made of.`);
  }
  return found;
}

function weightsOf(file: PackedFile, { scaleAxis }: MatrixRole, matrix: PackedMatrix): WeightMatrix {
  const { dtype, rows, cols, tensor, firstByte } = matrix;
  const info = file.tensors.get(tensor)!;
  file.verify(tensor);
  const bytes = newData('u8', sizeOf(info.shape));
  file.read(info.byteOffset, bytes);
  const data = bytes.subarray(firstByte);
  return {
    ...{ dtype, rows, cols, rowBytes: info.shape[1], scale: null, scaleAxis, groupRows: rows },
    data: { dtype: 'u8', shape: [data.length], data, address: 0 },
  };
}

function fail(file: PackedFile, message: string): never {
  throw new FormatError('export', `${file.path}: ${message}`, file.path);
}
