/**
 * writeHuggingFace: a model as a directory that `transformers` loads: config.json, model.safetensors (or several with an index), tokenizer.json,
 * tokenizer_config.json and generation_config.json.
 *
 * The dense function is the same number by number; which architecture has it is make-hf-config.ts. Written one tensor at a time, whole or not at all.
 */

import { join } from 'node:path';
import { writeDirectoryInSteps } from '../formats/atomic-write.ts';
import { CONFIG_FILE, TOKENIZER_CONFIG_FILE, writeJsonFile, writeTokenizerFile } from '../formats/model-files.ts';
import type { SafetensorsDType } from '../formats/safetensors-header.ts';
import { createShards } from '../formats/sharded-safetensors-writer.ts';
import { hfParts } from '../model/hf-weights.ts';
import { describeParameters, type ParameterInfo } from '../model/parameters.ts';
import { sizeOf } from '../tensor/tensor.ts';
import type { ExportSource } from './export-source.ts';
import { type HfModelType, type HfType, makeHfConfig, hfModelType } from './make-hf-config.ts';
import { type ExportOptions, type OutputTensor, wholeTensor, writeTensors } from './output-tensors.ts';
import { type SpecialTokens, specialTokensOf } from './special-tokens.ts';

export interface HuggingFaceOptions extends ExportOptions {
  type: HfType;
  /** Files are begun anew where one would be larger. Default: 5 GB, as `transformers` writes them. */
  maxShardBytes?: number;
}

export interface HuggingFaceReport {
  readonly architecture: string;
  readonly tensors: number;
  /** Numbers in them. */
  readonly weights: number;
  /** Of the tensors. */
  readonly bytes: number;
  /** Files with tensors. */
  readonly files: readonly string[];
}

const DTYPES: Readonly<Record<HfType, { dtype: SafetensorsDType; bytes: number }>> = {
  f32: { dtype: 'F32', bytes: 4 },
  bf16: { dtype: 'BF16', bytes: 2 },
};
const DEFAULT_SHARD_BYTES = 5e9;

/**
 * Writes the directory `path`, which must be missing or empty. Rejects with UsageError, before anything is written, for a model that `transformers`
 * has no architecture for, FormatError where reading or writing fails, and the reason of `signal`; nothing stays behind then.
 */
export async function writeHuggingFace(
  source: ExportSource,
  path: string,
  options: HuggingFaceOptions,
): Promise<HuggingFaceReport> {
  const { type, maxShardBytes = DEFAULT_SHARD_BYTES } = options;
  const special = specialTokensOf(source.text);
  const config = makeHfConfig(source.config, type, special);
  const tensors = hfTensors(source, type);
  const { dtype, bytes } = DTYPES[type];
  const planned = tensors.map(({ name, shape }) => ({ name, dtype, shape, bytes: bytes * sizeOf(shape) }));
  let files: readonly string[] = [];
  const fill = async (directory: string) => {
    writeJsonFile(join(directory, CONFIG_FILE), config);
    writeTextFiles(directory, source, special);
    const writer = createShards(directory, planned, maxShardBytes);
    try {
      await writeTensors(source, tensors, writer.write, options);
      writer.finish();
    } finally {
      writer.close();
    }
    files = writer.files;
  };
  await writeDirectoryInSteps(path, fill, { replace: false });
  const weights = tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const [architecture] = config.architectures as string[];
  return { architecture, tensors: tensors.length, weights, bytes: bytes * weights, files };
}

function writeTextFiles(directory: string, { text, config }: ExportSource, { bos, eos }: SpecialTokens): void {
  writeTokenizerFile(directory, text.tokenizer);
  const own = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(bos && { bos_token: bos.content }),
    ...(eos && { eos_token: eos.content }),
    add_bos_token: false,
    clean_up_tokenization_spaces: false,
    model_max_length: config.seqLen,
  };
  writeJsonFile(join(directory, TOKENIZER_CONFIG_FILE), text.tokenizerConfig ?? own);
  const ids = { ...(bos && { bos_token_id: bos.id }), ...(eos && { eos_token_id: eos.id }) };
  writeJsonFile(join(directory, 'generation_config.json'), ids);
}

/** In the order of the forward pass. */
function hfTensors({ config }: ExportSource, type: HfType): OutputTensor[] {
  const rename = RENAMED[hfModelType(config)] ?? ((name: string) => name);
  return describeParameters(config).flatMap((parameter) => hfTensorsOf(parameter, type, rename));
}

function hfTensorsOf(parameter: ParameterInfo, type: HfType, rename: (name: string) => string): OutputTensor[] {
  return hfParts(parameter).map(({ name, columns }) => {
    if (columns === null) return wholeTensor(rename(name), type, parameter);
    const [cols] = parameter.shape;
    const columnOf = (row: number) => columns.first + row;
    const part = { parameter, columnOf, rows: columns.count, cols };
    return { name: rename(name), type, shape: [columns.count, cols], parts: [part] };
  });
}

const MIXTRAL_PROJECTIONS: Readonly<Record<string, string>> = { gate_proj: 'w1', up_proj: 'w3', down_proj: 'w2' };

/** Where an architecture has names of its own. */
const RENAMED: Partial<Record<HfModelType, (name: string) => string>> = {
  mixtral: (name) =>
    name
      .replace('.mlp.', '.block_sparse_moe.')
      .replace(/(gate|up|down)_proj/, (projection) => MIXTRAL_PROJECTIONS[projection]),
};
