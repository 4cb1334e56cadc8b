/**
 * The configuration of a model in a GGUF file, from its metadata and the tensors that are there.
 *
 * What the architectures are is llama.cpp's to say: which tensors they have, which rotary convention, what a missing key means. What this project does
 * not compute is refused by name, because a model without something that belongs to it is another one.
 * Source: llama.cpp, src/models/*.cpp and conversion/*.py; keys: ggml, docs/gguf.md.
 */

import type { GgufFile } from '../formats/gguf.ts';
import { type ModelConfig, type ModelConfigInput, type RopeScaling, resolveConfig } from '../model/config.ts';
import { fieldsOfQsparseKey, QSPARSE_KEY } from '../model/qsparse-key.ts';
import { scaledFrequency } from '../model/rope-tables.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import { GgufFields } from './gguf-fields.ts';

interface Architecture {
  /** q and k are stored for rotary positions on neighbours (rope-order.ts). */
  readonly turnsNeighbours: boolean;
  readonly experts: 'none' | 'optional' | 'required';
  readonly fields: Partial<ModelConfigInput>;
}

/** `llama` stands for Llama, Mistral, Mixtral, SmolLM2 and many more. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: { turnsNeighbours: true, experts: 'optional', fields: {} },
  qwen2: { turnsNeighbours: false, experts: 'none', fields: {} },
  qwen3: { turnsNeighbours: false, experts: 'none', fields: { qkNorm: true } },
  qwen3moe: { turnsNeighbours: false, experts: 'required', fields: { qkNorm: true } },
  // Ternary numbers that were made when the file was are what is multiplied: as latent weights they would get another scale.
  bitnet: {
    turnsNeighbours: false,
    experts: 'none',
    fields: { subNorms: true, activationFormat: 'int8' },
  },
};

/** Keys that change what a model computes, and that no model has which is read here. */
const REFUSED_KEYS = [
  ...['attention.scale', 'attention.clamp_kqv', 'attention.max_alibi_bias', 'attention.temperature_scale'],
  ...['attn_logit_softcapping', 'final_logit_softcapping', 'logit_scale', 'residual_scale', 'embedding_scale'],
  ...['attention.sliding_window_pattern', 'expert_shared_count', 'expert_weights_scale', 'expert_gating_func'],
  ...['leading_dense_block_count', 'attention.kv_lora_rank', 'expert_group_count', 'nextn_predict_layers'],
];

/** More than any model has; keeps the list of parameters short whatever a file says. */
const MOST_FEED_FORWARDS = 65_536;

export interface GgufModelConfig {
  readonly config: ModelConfig;
  readonly turnsNeighbours: boolean;
}

/** Throws FormatError that names the key and its byte, what is supported and what was found. */
export function configOfGguf(file: GgufFile): GgufModelConfig {
  const fields = new GgufFields(file, file.path);
  const architecture = Object.hasOwn(ARCHITECTURES, fields.architecture)
    ? ARCHITECTURES[fields.architecture]
    : fields.failAt('general.architecture', `one of ${Object.keys(ARCHITECTURES).join(', ')}`, fields.architecture);
  for (const key of REFUSED_KEYS) {
    if (fields.has(key)) fields.fail(key, 'no such key, which stands for something that is not computed here', '...');
  }
  const input: ModelConfigInput = {
    ...shapeOf(fields, file),
    ...expertsOf(fields, architecture),
    ...{ ropeTheta: fields.number('rope.freq_base', 10000), ropeScaling: ropeScalingOf(fields, file) },
    normEps: fields.number('attention.layer_norm_rms_epsilon'),
    slidingWindow: fields.has('attention.sliding_window') ? fields.count('attention.sliding_window') : 0,
    tiedEmbeddings: !file.tensors.has('output.weight'),
    qkvBias: file.tensors.has('blk.0.attn_q.bias'),
    ...{ activation: 'silu', ...architecture.fields, ...selectedBy(file) },
  };
  checkCounts(fields, input, file);
  try {
    return { config: resolveConfig(input), turnsNeighbours: architecture.turnsNeighbours };
  } catch (error) {
    throw new FormatError('import', `${file.path}: ${messageOf(error)}`, file.path, { cause: error });
  }
}

function shapeOf(fields: GgufFields, file: GgufFile) {
  const dim = fields.count('embedding_length');
  const nHeads = fields.sameInAllLayers('attention.head_count');
  const headDim = fields.count('attention.key_length', dim / nHeads);
  const valueDim = fields.count('attention.value_length', headDim);
  if (valueDim !== headDim) fields.fail('attention.value_length', `attention.key_length, ${headDim}`, valueDim);
  const turned = fields.count('rope.dimension_count', headDim);
  if (turned !== headDim) fields.fail('rope.dimension_count', `the whole head, ${headDim}`, turned);
  const table = file.tensors.get('token_embd.weight');
  if (table === undefined || table.shape.length !== 2) {
    const found = table === undefined ? 'no such tensor' : `a shape of [${table.shape.join(', ')}]`;
    const what = `token_embd.weight: expected a matrix with a row for each token, found ${found}`;
    throw new FormatError('import', `${file.path}: ${what}.`, file.path);
  }
  return {
    ...{ dim, nHeads, headDim, vocabSize: table.shape[1] },
    nLayers: fields.count('block_count'),
    nKvHeads: fields.sameInAllLayers('attention.head_count_kv', nHeads),
    hiddenDim: fields.sameInAllLayers('feed_forward_length'),
    seqLen: fields.count('context_length'),
  };
}

function expertsOf(fields: GgufFields, { experts }: Architecture): Partial<ModelConfigInput> {
  const isMixture = fields.has('expert_count') && experts !== 'none';
  if (!isMixture && experts !== 'required') return {};
  const nExperts = fields.count('expert_count');
  const sizes = { nExperts, nExpertsPerToken: fields.count('expert_used_count') };
  return experts === 'required' ? { ...sizes, hiddenDim: fields.sameInAllLayers('expert_feed_forward_length') } : sizes;
}

/** Before anything is made of these numbers: a layer has tensors of its own. */
function checkCounts(fields: GgufFields, { nLayers, nExperts = 0 }: ModelConfigInput, { tensors }: GgufFile): void {
  if (nLayers > tensors.size) fields.fail('block_count', `at most the ${tensors.size} tensors of the file`, nLayers);
  if (nLayers * nExperts > MOST_FEED_FORWARDS) {
    fields.fail('expert_count', `at most ${MOST_FEED_FORWARDS} experts in all layers together`, nExperts);
  }
}

function ropeScalingOf(fields: GgufFields, file: GgufFile): RopeScaling | null {
  const type = fields.text('rope.scaling.type') ?? (fields.has('rope.scale_linear') ? 'linear' : 'none');
  const factors = file.tensors.get('rope_freqs.weight');
  if (factors !== undefined) return llama3Scaling(fields, file);
  if (type === 'none') return null;
  if (type !== 'linear') return fields.fail('rope.scaling.type', 'none or linear, or a tensor rope_freqs.weight', type);
  const factor = fields.number('rope.scaling.factor', fields.number('rope.scale_linear', 1));
  return factor === 1 ? null : { type: 'linear', factor };
}

/** What Llama 3.1, 3.2 and 3.3 have; their factor is 8 or 32. */
const LLAMA3 = { lowFreqFactor: 1, highFreqFactor: 4 } as const;
/** Where a file does not say it: llama.cpp's converter leaves it out, `qsparse convert --to gguf` writes it. */
const LLAMA3_ORIGINAL_SEQ_LEN = 8192;

/** A file holds the divisors of the frequencies and not what they were made of: it is found again, and every divisor compared. */
function llama3Scaling(fields: GgufFields, file: GgufFile): RopeScaling {
  const tensor = file.tensors.get('rope_freqs.weight')!;
  const { architecture, path } = fields;
  const headDim = fields.count(
    'attention.key_length',
    fields.count('embedding_length') / fields.sameInAllLayers('attention.head_count'),
  );
  const originalSeqLen = fields.count('rope.scaling.original_context_length', LLAMA3_ORIGINAL_SEQ_LEN);
  const fail = (found: string): never => {
    const expected = `${headDim / 2} factors of Llama 3's scaling from ${originalSeqLen} positions on`;
    const what = `tensor "rope_freqs.weight" at byte ${tensor.byteOffset} (${architecture}): expected ${expected}`;
    throw new FormatError('import', `${path}: ${what}, found ${found}.`, path);
  };
  if (tensor.shape.length !== 1 || 2 * tensor.elements !== headDim) fail(`a shape of [${tensor.shape.join(', ')}]`);
  const factors = new Float32Array(tensor.elements);
  file.read(tensor, 0, factors);
  const scaling: RopeScaling = { type: 'llama3', factor: factors[factors.length - 1], ...LLAMA3, originalSeqLen };
  const theta = fields.number('rope.freq_base', 10000);
  for (const [i, found] of factors.entries()) {
    const frequency = theta ** ((-2 * i) / headDim);
    const expected = frequency / scaledFrequency(frequency, scaling);
    if (!(Math.abs(found - expected) <= 1e-5 * expected)) fail(`${found} at element ${i} instead of ${expected}`);
  }
  return scaling;
}

/** What to select, where `qsparse convert --to gguf` wrote the file. */
function selectedBy({ metadata, path }: GgufFile): Partial<ModelConfigInput> {
  const key = `${QSPARSE_KEY}.config`;
  const text = metadata.get(key);
  const fields = text === undefined ? {} : fieldsOfQsparseKey(parsed(text));
  if (fields !== null) return fields;
  throw new FormatError(
    'import',
    `${path}: ${key}: expected what qsparse convert --to gguf writes. Write the file anew.`,
    path,
  );
}

/** Undefined is no key; what is no JSON is no object either. */
function parsed(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : text;
  } catch {
    return text;
  }
}
