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
import { nameOfPreTokenizer } from '../tokenizer/pre-tokenizers.ts';
import type { ExportSource } from './export-source.ts';
import { type HfModelType, type HfType, hfModelType, makeHfConfig } from './make-hf-config.ts';
import { columnsTensor, type ExportOptions, type OutputTensor, wholeTensor, writeTensors } from './output-tensors.ts';
import { type SpecialToken, type SpecialTokens, specialTokensOf } from './special-tokens.ts';

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
  /** The program will cut texts into words in another way than this tokenizer, so that ids differ. */
  readonly splitsOtherwise: boolean;
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
  const splitsOtherwise = architecture === 'Qwen2ForCausalLM' && !splitsAsQwen2(source.text.tokenizer);
  return { architecture, tensors: tensors.length, weights, bytes: bytes * weights, files, splitsOtherwise };
}

/**
 * AutoTokenizer of transformers 5 has a class of its own for this architecture, whatever the files say of theirs.
 * Source: transformers, models/auto/tokenization_auto.py, MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS.
 */
function splitsAsQwen2(tokenizer: object): boolean {
  const { pre_tokenizer, model } = tokenizer as { pre_tokenizer?: object; model?: { ignore_merges?: boolean } };
  return nameOfPreTokenizer(pre_tokenizer, model?.ignore_merges ?? false) === 'qwen2';
}

function writeTextFiles(directory: string, { text, config }: ExportSource, special: SpecialTokens): void {
  const { bos, eos, ends, addBos } = special;
  writeTokenizerFile(directory, addBos && bos ? beginningWith(bos, text.tokenizer) : text.tokenizer);
  const own = { ...(bos && { bos_token: bos.content }), ...(eos && { eos_token: eos.content }), add_bos_token: addBos };
  writeJsonFile(join(directory, TOKENIZER_CONFIG_FILE), {
    ...(text.tokenizerConfig ? withoutNulls(text.tokenizerConfig) : own),
    // By the name of the architecture another class would be taken, which makes its own steps of this file.
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    model_max_length: config.seqLen,
  });
  const end = ends.length > 1 ? ends : ends[0];
  const ids = { ...(bos && { bos_token_id: bos.id }), ...(end !== undefined && { eos_token_id: end }) };
  writeJsonFile(join(directory, 'generation_config.json'), ids);
}

/** A tokenizer.json that puts `token` before a text by itself: of `add_bos_token` not every version of transformers makes something. */
function beginningWith({ content, id }: SpecialToken, tokenizer: object): object {
  const before = (tokenizer as { post_processor?: object | null }).post_processor ?? null;
  if (JSON.stringify(before).includes('TemplateProcessing')) return tokenizer;
  const special = (type_id: number) => ({ SpecialToken: { id: content, type_id } });
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const template = {
    type: 'TemplateProcessing',
    single: [special(0), sequence('A', 0)],
    pair: [special(0), sequence('A', 0), special(1), sequence('B', 1)],
    special_tokens: { [content]: { id: content, ids: [id], tokens: [content] } },
  };
  const post_processor = before === null ? template : { type: 'Sequence', processors: [before, template] };
  return { ...tokenizer, post_processor };
}

function withoutNulls(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** In the order of the forward pass. */
function hfTensors({ config }: ExportSource, type: HfType): OutputTensor[] {
  const rename = RENAMED[hfModelType(config)] ?? ((name: string) => name);
  return describeParameters(config).flatMap((parameter) => hfTensorsOf(parameter, type, rename));
}

function hfTensorsOf(parameter: ParameterInfo, type: HfType, rename: (name: string) => string): OutputTensor[] {
  return hfParts(parameter).map(({ name, columns }) =>
    columns === null
      ? wholeTensor(rename(name), type, parameter)
      : columnsTensor(rename(name), type, parameter, columns),
  );
}

const MIXTRAL_PROJECTIONS: Readonly<Record<string, string>> = { gate_proj: 'w1', up_proj: 'w3', down_proj: 'w2' };

/** Where an architecture has names of its own. */
const RENAMED: Partial<Record<HfModelType, (name: string) => string>> = {
  mixtral: (name) =>
    name
      .replace('.mlp.', '.block_sparse_moe.')
      .replace(/(gate|up|down)_proj/, (projection) => MIXTRAL_PROJECTIONS[projection]),
};
