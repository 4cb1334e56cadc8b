/**
 * openLlama2cModel: a checkpoint of llama2.c as a model. The bytes are formats/llama2c.ts; the tokenizer lies in a file of its own beside it.
 *
 * llama2.c turns neighbours in its rotary positions, so q and k change the order of their features here (rope-order.ts). Its tables of angles are not
 * read: they are those of theta 10000, rounded.
 */

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Llama2cFile, type Llama2cTensorName, openLlama2c } from '../formats/llama2c.ts';
import type { ParameterInfo } from '../model/parameters.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import { readLlama2cTokenizer } from '../tokenizer/llama2c-tokenizer.ts';
import { FormatError } from '../util/errors.ts';
import type { ForeignModel, ForeignText } from './foreign-model.ts';
import { fromNeighbours } from './rope-order.ts';
import { readTransposed, readWhole, type SourceMatrix } from './source-matrix.ts';

/** Opens a file. `close` it. Throws FormatError for a file that is none, and where its tokenizer is missing. */
export function openLlama2cModel(path: string): ForeignModel {
  const file = openLlama2c(path);
  try {
    const { tied, ...sizes } = file.sizes;
    const shape = { ...sizes, tiedEmbeddings: tied, ropeTheta: 10000, normEps: 1e-5 };
    const config = resolveConfig({ ...shape, activation: 'silu' });
    return {
      ...{ format: 'llama2.c', path, config, bytes: file.bytes },
      text: readTokenizer(path, config.vocabSize),
      read: (parameter, out) => readParameter(file, parameter, config.headDim, out),
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function readParameter(
  file: Llama2cFile,
  { name, shape, projections }: ParameterInfo,
  headDim: number,
  out: Float32Array,
): void {
  const [, layerText, inLayer] = /^layers\.(\d+)\.(.*)$/.exec(name) ?? [undefined, '0', name];
  const layer = Number(layerText);
  if (projections.length === 0) {
    readWhole(sourceOf(file, inLayer as Llama2cTensorName, layer), out, file.path);
    return;
  }
  for (const { name, first } of projections) {
    const columnOf = name === 'q' || name === 'k' ? fromNeighbours(headDim) : undefined;
    readTransposed(sourceOf(file, name, layer), { out, cols: shape[1], first, columnOf }, file.path);
  }
}

function sourceOf(file: Llama2cFile, name: Llama2cTensorName, layer: number): SourceMatrix {
  const tensor = file.tensors.get(name)!;
  const { rows, cols } = tensor;
  const before = layer * rows * cols;
  const read = (first: number, out: Float32Array) => file.read(tensor, before + first * cols, out);
  return { name: `${name} of layer ${layer}`, byteOffset: tensor.byteOffset + 4 * before, rows, cols, read };
}

/** Of model.bin: model-tokenizer.bin, model-tok512.bin (by the size of the vocabulary), tokenizer.bin or tok512.bin, the first that is there. */
function readTokenizer(path: string, vocabSize: number): ForeignText {
  const stem = basename(path).replace(/\.bin$/, '');
  const names = [`${stem}-tokenizer.bin`, `${stem}-tok${vocabSize}.bin`, 'tokenizer.bin', `tok${vocabSize}.bin`];
  const file = names.map((name) => join(dirname(path), name)).find((name) => existsSync(name));
  if (file !== undefined) return readLlama2cTokenizer(readFileSync(file), vocabSize, file);
  const expected = `its tokenizer beside it as ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
  throw new FormatError('import', `${path}: expected ${expected}, found none. Copy it there.`, path);
}
