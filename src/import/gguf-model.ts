/**
 * openGgufModel: a GGUF file as a model: llama (and with it Mistral, Mixtral, SmolLM2), qwen2, qwen3, qwen3moe and bitnet.
 *
 * The configuration is gguf-config.ts, the names of the tensors gguf-parts.ts, the bytes formats/gguf.ts. Opening holds every tensor of the file
 * against the configuration: one that is missing, of another shape or left over is an error before a weight is read.
 */

import type { ByteSource } from '../formats/byte-source.ts';
import { type GgufFile, openGguf } from '../formats/gguf.ts';
import type { GgufTensor } from '../formats/gguf-header.ts';
import type { ModelConfig } from '../model/config.ts';
import { describeParameters, type ParameterInfo } from '../model/parameters.ts';
import { tokenizerOfGguf } from '../tokenizer/gguf-tokenizer.ts';
import { FormatError } from '../util/errors.ts';
import type { ForeignModel } from './foreign-model.ts';
import { configOfGguf } from './gguf-config.ts';
import { type GgufPart, ggufParts } from './gguf-parts.ts';
import { fromNeighbours } from './rope-order.ts';
import { readTransposed, readWhole, type SourceMatrix } from './source-matrix.ts';

/** Read by the configuration, and by nothing else. */
const CONFIGURATION_TENSORS = ['rope_freqs.weight'];

/** Takes over an open source. `close` it. Throws FormatError for a file or model that cannot be read here. */
export function openGgufModel(source: ByteSource): ForeignModel {
  const file = openGguf(source);
  const { path } = file;
  try {
    const { config, turnsNeighbours } = configOfGguf(file);
    checkTensors(file, config);
    return {
      ...{ format: 'gguf', path, config },
      text: tokenizerOfGguf(file.metadata, path),
      bytes: [...file.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0),
      read: (parameter, out) => readParameter(file, parameter, turnsNeighbours ? config.headDim : null, out),
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function readParameter(
  file: GgufFile,
  parameter: ParameterInfo,
  turnedHeadDim: number | null,
  out: Float32Array,
): void {
  const cols = parameter.shape[parameter.shape.length - 1];
  for (const part of ggufParts(parameter)) {
    const source = sourceOf(file, part);
    if (part.columns === null) {
      readWhole(source, out, file.path);
      continue;
    }
    const isTurned = turnedHeadDim !== null && (part.projection === 'q' || part.projection === 'k');
    const columnOf = isTurned ? fromNeighbours(turnedHeadDim) : undefined;
    readTransposed(source, { out, cols, first: part.columns.first, columnOf }, file.path);
  }
}

/** A vector that becomes elements of a longer one is a matrix of one column. */
function sourceOf(file: GgufFile, { tensor: name, expert, columns }: GgufPart): SourceMatrix {
  const tensor = file.tensors.get(name)!;
  const { shape, byteOffset } = tensor;
  const [cols, rows] = shape.length > 1 ? shape : columns === null ? [shape[0], 1] : [1, shape[0]];
  const before = (expert ?? 0) * rows * cols;
  const read = (first: number, out: Float32Array) => file.read(tensor, before + first * cols, out);
  return { name, byteOffset, rows, cols, read };
}

function checkTensors(file: GgufFile, config: ModelConfig): void {
  const expected = new Map<string, readonly number[]>();
  for (const parameter of describeParameters(config)) {
    for (const part of ggufParts(parameter)) expected.set(part.tensor, shapeOf(part, parameter, config));
  }
  const fail = (what: string): never => {
    throw new FormatError('import', `${file.path}: ${what}.`, file.path);
  };
  for (const [name, shape] of expected) {
    const found = file.tensors.get(name);
    if (found !== undefined && found.shape.join() === shape.join()) continue;
    const got = found === undefined ? 'no such tensor' : `[${found.shape.join(', ')}] at byte ${found.byteOffset}`;
    fail(`tensor "${name}": expected [${shape.join(', ')}], the fastest dimension first, found ${got}`);
  }
  for (const { name, byteOffset } of file.tensors.values()) {
    if (expected.has(name) || CONFIGURATION_TENSORS.includes(name)) continue;
    const what = 'has no place in this architecture as it is computed here: expected no such tensor';
    fail(`tensor "${name}" at byte ${byteOffset} ${what}, and a model without it would be another one`);
  }
}

/** As ggml has it: the fastest dimension first. */
function shapeOf(
  { columns, expert }: GgufPart,
  { shape }: ParameterInfo,
  { nExperts }: ModelConfig,
): GgufTensor['shape'] {
  if (columns === null) return [...shape].reverse();
  if (shape.length === 1) return [columns.count];
  return [shape[0], columns.count, ...(expert === null ? [] : [nExperts])];
}
