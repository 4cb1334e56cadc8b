import { describe, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { readHfConfig } from './hf-config.ts';

const LLAMA = {
  ...{ model_type: 'llama', architectures: ['LlamaForCausalLM'], hidden_size: 64, intermediate_size: 160 },
  ...{ num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 100 },
};
const read = (fields: object) => readHfConfig({ ...LLAMA, ...fields }, 'DIR/config.json');

function messageFor(fields: object): string {
  try {
    read(fields);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return (error as FormatError).message;
  }
  throw new Error('accepted');
}

describe('readHfConfig', () => {
  it('takes what is left out from the architecture', () => {
    expect(read({}).config).toMatchObject({
      ...{ dim: 64, hiddenDim: 160, nLayers: 2, nHeads: 4, nKvHeads: 4, headDim: 16, vocabSize: 100, seqLen: 2048 },
      ...{ ropeTheta: 10000, ropeScaling: null, slidingWindow: 0, normEps: 1e-6, tiedEmbeddings: false },
      ...{ activation: 'silu', qkvBias: false, qkNorm: false, subNorms: false, nExperts: 0, sparsity: { qkv: 0 } },
    });
    const of = (model_type: string, fields = {}) => read({ model_type, architectures: null, ...fields }).config;
    expect(of('mistral', { num_attention_heads: 16 })).toMatchObject({ nKvHeads: 8, slidingWindow: 4096 });
    expect(of('mistral', { num_key_value_heads: null, sliding_window: null })).toMatchObject({
      ...{ nKvHeads: 4, slidingWindow: 0 },
    });
    expect(of('qwen3', { num_key_value_heads: 2 })).toMatchObject({ headDim: 128, qkNorm: true, slidingWindow: 0 });
    expect(of('qwen2', { num_key_value_heads: 2 })).toMatchObject({ headDim: 16, qkvBias: true });
    expect(of('mixtral', { num_key_value_heads: 2 })).toMatchObject({
      ...{ nExperts: 8, nExpertsPerToken: 2, ropeTheta: 1e6, slidingWindow: 0, hiddenDim: 160 },
    });
    const bitnet = { num_key_value_heads: 2, tie_word_embeddings: true };
    expect(of('bitnet', bitnet)).toMatchObject({ activation: 'relu2', subNorms: true, ropeTheta: 500000 });
  });

  it('reads RoPE as transformers 5 and as earlier versions wrote it', () => {
    const llama3 = {
      ...{ factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
    };
    const expected = {
      ropeTheta: 500000,
      ropeScaling: { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalSeqLen: 8192 },
    };
    const now = { rope_parameters: { rope_type: 'llama3', rope_theta: 500000, ...llama3 } };
    const before = { rope_theta: 500000, rope_scaling: { type: 'llama3', ...llama3 } };
    for (const fields of [now, before]) expect(read(fields).config).toMatchObject(expected);
    expect(read({ rope_theta: 1e6, rope_scaling: null }).config).toMatchObject({ ropeTheta: 1e6, ropeScaling: null });
  });

  it('reads RoPE that is said in both ways where both mean the same, and refuses it where they do not', () => {
    const linear = { rope_type: 'linear', factor: 2 };
    const same = { rope_theta: 5e5, rope_scaling: linear, rope_parameters: { ...linear, rope_theta: 5e5 } };
    expect(read(same).config).toMatchObject({ ropeTheta: 5e5, ropeScaling: { type: 'linear', factor: 2 } });
    for (const nothing of [null, {}]) {
      expect(read({ ...same, rope_scaling: nothing }).config).toEqual(read(same).config);
      expect(read({ ...same, rope_parameters: nothing }).config).toEqual(read(same).config);
    }
    const plain = { rope_type: 'default', rope_theta: 5e5 };
    const found = 'got linear by 2 with rope_theta 500000 and no scaling with rope_theta 500000';
    const expected = `rope_scaling must mean the same as rope_parameters where both are there, ${found}`;
    expect(messageFor({ ...same, rope_parameters: plain })).toContain(expected);
    // transformers 5 would take theta from beside rope_scaling, where it is not.
    expect(messageFor({ ...same, rope_theta: undefined })).toMatch(
      /rope_scaling must mean the same as rope_parameters/,
    );
  });

  it('has the sparsity again that an export wrote, and refuses a key that is none', () => {
    const qsparse = {
      sparsifier: 'topk',
      sparsity: { qkv: 0.5, o: 0.4 },
      gradient: 'masked',
      activationFormat: 'int8',
    };
    expect(read({ qsparse }).config).toMatchObject({ ...qsparse, sparsity: { qkv: 0.5, o: 0.4, gateUp: 0, down: 0 } });
    expect(read({ qsparse: null }).config).toMatchObject({ sparsifier: 'topk', sparsity: { qkv: 0, down: 0 } });
    expect(messageFor({ qsparse: { dim: 3 } })).toContain('qsparse must be what qsparse convert --to hf writes');
    expect(messageFor({ qsparse: { sparsity: { qkv: 2 } } })).toContain('sparsity.qkv');
  });

  it('takes a window that all layers have or none', () => {
    const qwen = { model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'], num_key_value_heads: 2 };
    const window = { ...qwen, use_sliding_window: true, sliding_window: 16 };
    expect(read({ ...qwen, sliding_window: 16, max_window_layers: 1 }).config.slidingWindow).toBe(0);
    expect(read({ ...window, max_window_layers: 0 }).config.slidingWindow).toBe(16);
    const all = { layer_types: ['sliding_attention', 'sliding_attention'] };
    expect(read({ ...window, ...all }).config.slidingWindow).toBe(16);
    expect(messageFor({ ...window, max_window_layers: 1 })).toMatch(/max_window_layers must give every layer/);
    const some = { layer_types: ['sliding_attention', 'full_attention'] };
    expect(messageFor({ ...window, ...some })).toMatch(/layer_types must give every layer the window or none/);
  });

  it.each<[object, RegExp]>([
    [{ model_type: 'gemma3_text' }, /model_type must be one of llama, .* got "gemma3_text"\. It has norms behind/],
    [{ model_type: 'qwen2_moe' }, /got "qwen2_moe"\. It has a shared expert/],
    [{ model_type: '__proto__' }, /got "__proto__"\.$/],
    [{ model_type: undefined }, /got undefined\.$/],
    [
      { architectures: ['LlamaForSequenceClassification'] },
      /architectures must name LlamaForCausalLM, .* got "LlamaFor/,
    ],
    [{ attention_bias: true }, /attention_bias must be false, got true: biases of all four/],
    [{ mlp_bias: true }, /mlp_bias must be false/],
    [{ hidden_act: 'gelu' }, /hidden_act must be silu, relu or relu2, got "gelu"/],
    [
      { rope_scaling: { rope_type: 'yarn', factor: 4 } },
      /rope_scaling\.rope_type must be default, linear or llama3, got "yarn"/,
    ],
    [{ rope_parameters: { rope_type: 'linear' } }, /rope_parameters\.factor must be a number above 0, got undefined/],
    [{ rope_parameters: [] }, /rope_parameters must be an object, got a list/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor must be 1, got 0\.5/],
    [{ num_hidden_layers: 1e9 }, /num_hidden_layers must be a whole number from 1 to 1024, got 1000000000/],
    [{ vocab_size: '100' }, /vocab_size must be a whole number from 1 to 16777216, got "100"/],
    [{ hidden_size: 65 }, /nHeads must divide dim: got dim 65, nHeads 4/],
    [{ rms_norm_eps: null }, /rms_norm_eps must be above 0, got null/],
    [{ tie_word_embeddings: 1 }, /tie_word_embeddings must be true or false, got 1/],
    [{ quantization_config: { quant_method: 'gptq' } }, /quantization_config\.quant_method must be bitnet, got "gptq"/],
    [
      { quantization_config: { quant_method: 'bitnet', modules_to_not_convert: ['q_proj'] } },
      /modules_to_not_convert must name nothing but lm_head and embed_tokens/,
    ],
  ])('refuses %j', (fields, message) => {
    expect(messageFor(fields)).toMatch(message);
    expect(messageFor(fields)).toMatch(/^\[hugging-face\] DIR\/config\.json: /);
  });

  it.each<[object, RegExp]>([
    [{ norm_topk_prob: false }, /norm_topk_prob must be true, got false: shares of the experts/],
    [{}, /norm_topk_prob must be true/],
    [{ norm_topk_prob: true, mlp_only_layers: [0] }, /mlp_only_layers must be empty/],
    [{ norm_topk_prob: true, decoder_sparse_step: 2 }, /decoder_sparse_step must be 1, got 2/],
  ])('refuses a Qwen3-MoE with %j', (fields, message) => {
    const moe = { model_type: 'qwen3_moe', architectures: undefined, num_experts: 4, num_experts_per_tok: 2 };
    expect(messageFor({ ...moe, ...fields })).toMatch(message);
  });

  it('says all that is wrong at once, on one line', () => {
    const message = messageFor({ hidden_act: 'gelu', attention_bias: true, vocab_size: 0, rope_theta: -1 });
    expect(message).toMatch(
      /4 problems: \(1\) attention_bias .* \(2\) vocab_size .* \(3\) rope_theta .* \(4\) hidden_act/,
    );
    expect(message).not.toMatch(/\n/);
  });

  it('knows the three ways of BitNet', () => {
    const of = (fields: object) => read({ quantization_config: { quant_method: 'bitnet', ...fields } });
    expect(of({})).toMatchObject({ quantization: 'codes-divided', config: { activationFormat: 'int8' } });
    expect(of({ linear_class: 'autobitlinear' })).toMatchObject({
      ...{ quantization: 'codes-multiplied', config: { weightFormat: 'float', activationFormat: 'int8' } },
    });
    expect(of({ linear_class: 'autobitlinear', quantization_mode: 'online' })).toMatchObject({
      ...{ quantization: 'none', config: { weightFormat: 'ternary', activationFormat: 'int8' } },
    });
  });
});
