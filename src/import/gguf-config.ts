/**
 * The configuration of a model in a GGUF file, from its metadata and the tensors that are there.
 *
 * What the architectures are is llama.cpp's to say: which tensors they have, which rotary convention, what a missing key means. What this project does
 * not compute is refused by name, because a model without something that belongs to it is another one.
 * Source: llama.cpp, src/models/*.cpp and conversion/*.py; keys: ggml, docs/gguf.md.
 */

import type { GgufFile } from '../formats/gguf.ts';
import type { ModelConfig, RopeScaling } from '../model/config.ts';
import { fieldsOfQsparseKey, QSPARSE_KEY } from '../model/qsparse-key.ts';
import { type ModelConfigInput, resolveConfig } from '../model/resolve-config.ts';
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

/**
 * Keys that change what a model computes, and that no model has which is read here, with the values at which they change nothing. The soft caps are looked at by
 * architectures of others alone: 50 and 30 are what llama.cpp's saver writes where a model has none.
 */
const REFUSED_KEYS: Readonly<Record<string, readonly number[]>> = {
  ...{ 'attention.scale': [0], 'attention.clamp_kqv': [0], 'attention.max_alibi_bias': [0] },
  ...{ 'attention.temperature_scale': [0], 'attention.kv_lora_rank': [0], 'attention.sliding_window_pattern': [] },
  ...{ attn_logit_softcapping: [0, 50], final_logit_softcapping: [0, 30] },
  ...{ logit_scale: [0, 1], residual_scale: [0, 1], embedding_scale: [0, 1], 'rope.scaling.attn_factor': [1] },
  // Of routers: 0 is unset, 1 the softmax.
  ...{ expert_weights_scale: [0, 1], expert_gating_func: [0, 1], expert_shared_count: [0], expert_group_count: [0] },
  ...{ leading_dense_block_count: [0], nextn_predict_layers: [0] },
};

/** More than any model has; keeps the list of parameters short whatever a file says. */
const MOST_FEED_FORWARDS = 65_536;

export interface GgufModelConfig {
  readonly config: ModelConfig;
  readonly turnsNeighbours: boolean;
}

/** Throws FormatError that names the key and its byte, what is supported and what was found. */
export function configOfGguf(file: GgufFile): GgufModelConfig {
  refuseSplit(file);
  const fields = new GgufFields(file, file.path);
  const architecture = Object.hasOwn(ARCHITECTURES, fields.architecture)
    ? ARCHITECTURES[fields.architecture]
    : fields.failAt('general.architecture', `one of ${Object.keys(ARCHITECTURES).join(', ')}`, fields.architecture);
  for (const [key, neutral] of Object.entries(REFUSED_KEYS)) {
    if (!fields.isSet(key, ...neutral)) continue;
    const expected = ['no such key', ...neutral].join(' or ');
    fields.fail(key, `${expected}, since it stands for something that is not computed here`);
  }
  const input: ModelConfigInput = {
    ...shapeOf(fields, file),
    ...expertsOf(fields, architecture),
    ...{ ropeTheta: fields.number('rope.freq_base', 10000), ropeScaling: ropeScalingOf(fields, file) },
    normEps: fields.number('attention.layer_norm_rms_epsilon'),
    slidingWindow: fields.isSet('attention.sliding_window', 0) ? fields.count('attention.sliding_window') : 0,
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

/** A part by itself lacks tensors, which one is chance: the reason is better told than the tensor. */
function refuseSplit({ metadata, path }: GgufFile): void {
  const parts = metadata.get('split.count');
  if (typeof parts !== 'number' || parts <= 1) return;
  const what = `is one of ${parts} parts: expected the whole model in one file`;
  throw new FormatError(
    'import',
    `${path} ${what}. Put them together: llama-gguf-split --merge FIRST_PART OUT.gguf`,
    path,
  );
}

function shapeOf(fields: GgufFields, file: GgufFile) {
  const dim = fields.count('embedding_length');
  const nHeads = fields.sameInAllLayers('attention.head_count');
  const headDim = headDimOf(fields);
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

function headDimOf(fields: GgufFields): number {
  if (fields.has('attention.key_length')) return fields.count('attention.key_length');
  const [dim, nHeads] = [fields.count('embedding_length'), fields.sameInAllLayers('attention.head_count')];
  if (dim % nHeads !== 0) fields.fail('attention.head_count', `a divisor of embedding_length, ${dim}`, nHeads);
  return dim / nHeads;
}

function expertsOf(fields: GgufFields, { experts }: Architecture): Partial<ModelConfigInput> {
  const isMixture = fields.isSet('expert_count', 0) && experts !== 'none';
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

/** A factor without a type scales, as in llama.cpp, whose default is linear; 0 is no factor. Beside a tensor of divisors both would count. */
function ropeScalingOf(fields: GgufFields, file: GgufFile): RopeScaling | null {
  const type = fields.text('rope.scaling.type') ?? 'linear';
  const key = fields.has('rope.scaling.factor') ? 'rope.scaling.factor' : 'rope.scale_linear';
  const hasDivisors = file.tensors.has('rope_freqs.weight');
  if (type !== 'none' && type !== 'linear') {
    return fields.fail('rope.scaling.type', `none or linear${hasDivisors ? '' : ', or a tensor rope_freqs.weight'}`);
  }
  const factor = type === 'linear' && fields.isSet(key, 0) ? fields.number(key) : 1;
  if (hasDivisors && factor !== 1) fields.fail(key, '1 beside the tensor rope_freqs.weight, which scales already');
  if (hasDivisors) return llama3Scaling(fields, file);
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
  const headDim = headDimOf(fields);
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
