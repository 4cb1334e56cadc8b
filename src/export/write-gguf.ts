/**
 * writeGguf: a model as a GGUF file that llama.cpp loads, in F32, F16 or Q8_0, with its tokenizer.
 *
 * The dense function is the same; which architecture has it is gguf-architecture.ts. What is sparse about the model stands, as JSON, under the key
 * `qsparse.config`, which llama.cpp does not read. Written one tensor at a time, whole or not at all.
 */

import { basename } from 'node:path';
import { writeFileInSteps } from '../formats/atomic-write.ts';
import { createGguf, type GgufTensor, type GgufValue } from '../formats/gguf-writer.ts';
import { QSPARSE_KEY, qsparseKeyOf } from '../model/qsparse-key.ts';
import type { ExportSource } from './export-source.ts';
import {
  type GgufArchitecture,
  type GgufExportType,
  ggufArchitecture,
  ggufHyperparameters,
} from './gguf-architecture.ts';
import { ggufTensors } from './gguf-tensors.ts';
import { ggufTokenizerMetadata, leftOutOf } from './gguf-tokenizer-metadata.ts';
import { countNumbers, type ExportOptions, writeTensors } from './output-tensors.ts';

export interface GgufOptions extends ExportOptions {
  type: GgufExportType;
}

export interface GgufReport {
  readonly architecture: GgufArchitecture;
  readonly tensors: number;
  /** Numbers in them. */
  readonly weights: number;
  /** Of the file. */
  readonly bytes: number;
  /** What of the tokenizer the file cannot say, in words: texts for which it matters get other ids. */
  readonly tokenizerLeftOut: readonly string[];
}

/** llama.cpp's numbers for what most of the file is stored in (llama_ftype). */
const FILE_TYPES: Readonly<Record<GgufExportType, number>> = { f32: 0, f16: 1, q8_0: 7 };
/** Of the block formats; 2 since 2023. */
const QUANTIZATION_VERSION = 2;

/**
 * Writes the file `path`, which must not exist. Rejects with UsageError, before anything is written, for a model or a tokenizer that llama.cpp
 * cannot have, FormatError where reading or writing fails or a number does not fit, and the reason of `signal`; nothing stays behind then.
 */
export async function writeGguf(source: ExportSource, path: string, options: GgufOptions): Promise<GgufReport> {
  const { type } = options;
  const { config, text } = source;
  const architecture = ggufArchitecture(config, type);
  const key = qsparseKeyOf(config);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { string: architecture }],
    ['general.name', { string: basename(path).replace(/\.gguf$/, '') }],
    ['general.file_type', { u32: FILE_TYPES[type] }],
    ['general.quantization_version', { u32: QUANTIZATION_VERSION }],
    ...ggufHyperparameters(config, architecture),
    ...ggufTokenizerMetadata(text, config.vocabSize),
  ]);
  if (key !== null) metadata.set(`${QSPARSE_KEY}.config`, { string: JSON.stringify(key) });
  const tensors = ggufTensors(source, architecture, type);
  let bytes = 0;
  await writeFileInSteps(path, async (temporary) => {
    const planned = tensors.map(({ name, type, shape }): GgufTensor => ({ name, type: type as GgufExportType, shape }));
    const writer = createGguf(temporary, metadata, planned);
    try {
      await writeTensors(source, tensors, writer.write, options);
      writer.finish();
      bytes = writer.fileBytes;
    } finally {
      writer.close();
    }
  });
  const weights = countNumbers(tensors);
  return { architecture, tensors: tensors.length, weights, bytes, tokenizerLeftOut: leftOutOf(text.tokenizer) };
}
