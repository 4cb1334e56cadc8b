import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing, readJson, sharedPath } from '../../test/golden/golden-file.ts';
import { type PlainGguf, readPlainGguf } from '../../test/support/plain-gguf-reader.ts';
import { createTinyRun, type TinyRun } from '../../test/support/tiny-checkpoint.ts';
import { toHfWeights } from '../model/hf-weights.ts';
import type { ModelConfigInput } from '../model/resolve-config.ts';
import { openExportSource } from './export-source.ts';
import { ggufTokenizerMetadata } from './gguf-tokenizer-metadata.ts';
import { type GgufOptions, writeGguf } from './write-gguf.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-gguf-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;

async function write(run: TinyRun, type: GgufOptions['type'] = 'f32', more: Partial<GgufOptions> = {}) {
  const path = join(directory, `model-${files++}.gguf`);
  const source = openExportSource(run.directory);
  try {
    const report = await writeGguf(source, path, { type, ...more });
    return { path, report, gguf: readPlainGguf(path) };
  } finally {
    source.close();
  }
}

/** Writes a run and removes it; its weights by Hugging Face name. */
async function exported(overrides: Partial<ModelConfigInput>, type: GgufOptions['type'] = 'f32') {
  const run = createTinyRun(overrides);
  try {
    return { ...(await write(run, type)), weights: hfWeights(run) };
  } finally {
    run.remove();
  }
}

function hfWeights({ model }: TinyRun): Map<string, { shape: readonly number[]; data: ArrayLike<number> }> {
  return new Map([...toHfWeights(model.parameters)].map((array) => [array.name, array]));
}

const SILU = { activation: 'silu' } as const;
const numbersOf = (gguf: PlainGguf, name: string) => gguf.tensors.get(name)!.numbers;

describe('writeGguf', () => {
  it('writes every number of a llama model, its rotary pairs side by side', async () => {
    const { gguf, weights, report } = await exported({ ...SILU, nHeads: 4, nKvHeads: 2, tiedEmbeddings: false });
    const plain = {
      'token_embd.weight': 'model.embed_tokens.weight',
      'blk.1.attn_norm.weight': 'model.layers.1.input_layernorm.weight',
      'blk.1.attn_v.weight': 'model.layers.1.self_attn.v_proj.weight',
      'blk.0.attn_output.weight': 'model.layers.0.self_attn.o_proj.weight',
      'blk.1.ffn_norm.weight': 'model.layers.1.post_attention_layernorm.weight',
      'blk.0.ffn_gate.weight': 'model.layers.0.mlp.gate_proj.weight',
      'blk.1.ffn_up.weight': 'model.layers.1.mlp.up_proj.weight',
      'blk.1.ffn_down.weight': 'model.layers.1.mlp.down_proj.weight',
      'output_norm.weight': 'model.norm.weight',
      'output.weight': 'lm_head.weight',
    };
    for (const [name, hf] of Object.entries(plain)) {
      expect(gguf.tensors.get(name)!.shape, name).toEqual(weights.get(hf)!.shape);
      expect(numbersOf(gguf, name), name).toEqual([...(weights.get(hf)!.data as Float32Array)]);
    }
    expect(gguf.tensors.size).toBe(21);
    expect(report).toMatchObject({ architecture: 'llama', tensors: 21, bytes: gguf.bytes });
    // Heads of 8: rows 0, 1, 2 of a head here are its features 0, 4, 1 there.
    for (const [name, hf, heads] of [
      ['attn_q', 'q_proj', 4],
      ['attn_k', 'k_proj', 2],
    ] as const) {
      const source = [...(weights.get(`model.layers.1.self_attn.${hf}.weight`)!.data as Float32Array)];
      const rows = Array.from({ length: heads }, (_, h) => [0, 4, 1, 5, 2, 6, 3, 7].map((f) => 8 * h + f)).flat();
      const expected = rows.flatMap((row) => source.slice(32 * row, 32 * row + 32));
      expect(numbersOf(gguf, `blk.1.${name}.weight`)).toEqual(expected);
    }
  });

  it('says what llama.cpp needs to know, and what it cannot', async () => {
    const { gguf } = await exported({ ...SILU, nHeads: 4, nKvHeads: 2, headDim: 16, ropeTheta: 5e5, seqLen: 48 });
    expect(Object.fromEntries(gguf.metadata)).toMatchObject({
      'general.architecture': 'llama',
      'general.file_type': 0,
      'llama.block_count': 2,
      'llama.context_length': 48,
      'llama.embedding_length': 32,
      'llama.feed_forward_length': 64,
      'llama.attention.head_count': 4,
      'llama.attention.head_count_kv': 2,
      'llama.attention.key_length': 16,
      'llama.rope.dimension_count': 16,
      'llama.rope.freq_base': 5e5,
      'llama.vocab_size': 290,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.bos_token_id': 0,
      'tokenizer.ggml.eos_token_id': 0,
      'tokenizer.ggml.add_bos_token': false,
    });
    expect(gguf.metadata.get('llama.attention.layer_norm_rms_epsilon')).toBe(Math.fround(1e-5));
    expect(JSON.parse(gguf.metadata.get('qsparse.config') as string)).toEqual({
      ...{ sparsifier: 'topk', gradient: 'straight-through', activationFormat: 'float' },
      sparsity: { qkv: 0.5, o: 0.5, gateUp: 0.5, down: 0.5 },
    });
    const tokens = gguf.metadata.get('tokenizer.ggml.tokens') as string[];
    const types = gguf.metadata.get('tokenizer.ggml.token_type') as number[];
    expect([tokens.length, types.length]).toEqual([290, 290]);
    expect([tokens[0], types[0], types[1]]).toEqual(['<|endoftext|>', 3, 1]);
    const [merge] = gguf.metadata.get('tokenizer.ggml.merges') as string[];
    expect(tokens).toContain(merge.replace(' ', ''));
    expect((await exported({ ...SILU, sparsity: 0 })).gguf.metadata.has('qsparse.config')).toBe(false);
  });

  it('writes ReLU gates as a mixture of one expert', async () => {
    const { gguf, weights, report } = await exported({ activation: 'relu' });
    expect(report.architecture).toBe('smallthinker');
    expect(Object.fromEntries(gguf.metadata)).toMatchObject({
      ...{ 'smallthinker.expert_count': 1, 'smallthinker.expert_used_count': 1 },
      ...{ 'smallthinker.expert_feed_forward_length': 64, 'smallthinker.expert_gating_func': 1 },
    });
    expect(gguf.tensors.get('blk.0.ffn_up_exps.weight')!.shape).toEqual([1, 64, 32]);
    expect(new Set(numbersOf(gguf, 'blk.1.ffn_gate_inp.weight'))).toEqual(new Set([0]));
    const same = { attn_q: 'self_attn.q_proj', ffn_gate_exps: 'mlp.gate_proj', ffn_down_exps: 'mlp.down_proj' };
    for (const [name, hf] of Object.entries(same)) {
      const expected = [...(weights.get(`model.layers.1.${hf}.weight`)!.data as Float32Array)];
      expect(numbersOf(gguf, `blk.1.${name}.weight`), name).toEqual(expected);
    }
  });

  it('writes the experts of a mixture one behind the other, its router in f32', async () => {
    const { gguf, weights } = await exported({ ...SILU, nExperts: 3, nExpertsPerToken: 2 }, 'f16');
    expect([gguf.metadata.get('llama.expert_count'), gguf.metadata.get('llama.expert_used_count')]).toEqual([3, 2]);
    const router = gguf.tensors.get('blk.1.ffn_gate_inp.weight')!;
    expect(router).toMatchObject({ type: 0, shape: [3, 32] });
    expect(router.numbers).toEqual([...(weights.get('model.layers.1.mlp.gate.weight')!.data as Float32Array)]);
    const down = gguf.tensors.get('blk.1.ffn_down_exps.weight')!;
    expect(down).toMatchObject({ type: 1, shape: [3, 32, 64] });
    for (let expert = 0; expert < 3; expert++) {
      const { data } = weights.get(`model.layers.1.mlp.experts.${expert}.down_proj.weight`)!;
      const got = down.numbers.slice(expert * 2048, (expert + 1) * 2048);
      const tooFar = got.filter((x, i) => Math.abs(x - data[i]) > 2 ** -11 * Math.abs(data[i]) + 2 ** -25);
      expect(tooFar).toEqual([]);
    }
  });

  it('writes sub-norms, and ternary weights as they are multiplied, in blocks of 8 bits', async () => {
    const { gguf, report } = await exported({ ...SILU, subNorms: true, weightFormat: 'ternary' }, 'q8_0');
    expect(report.architecture).toBe('bitnet');
    expect(gguf.tensors.get('blk.0.attn_sub_norm.weight')).toMatchObject({ type: 0, shape: [32] });
    expect(gguf.tensors.get('blk.1.ffn_sub_norm.weight')).toMatchObject({ type: 0, shape: [64] });
    const gate = gguf.tensors.get('blk.1.ffn_gate.weight')!;
    expect(gate.type).toBe(8);
    // -alpha, 0 and alpha, each exactly 127 units of a scale.
    expect(new Set(gate.numbers.map(Math.abs)).size).toBe(2);
  });

  it('refuses what llama.cpp has no graph for, with every reason, and writes nothing', async () => {
    const cases: [Partial<ModelConfigInput>, GgufOptions['type'], RegExp][] = [
      [{}, 'f32', /relu2 gates: llama.cpp has squared ReLUs without gates only.*--to hf/],
      [{ activation: 'relu', nExperts: 2, nExpertsPerToken: 1 }, 'f32', /relu gates in a mixture/],
      [{ ...SILU, rescale: 'l2' }, 'f32', /rescale l2/],
      [{ activation: 'relu', sparsifier: 'drelu', sparsity: 0 }, 'f32', /sparsifier drelu/],
      [{ ...SILU, subNorms: true, tiedEmbeddings: false }, 'f32', /a head of its own/],
      [{ ...SILU, dim: 40, hiddenDim: 64, nHeads: 4, headDim: 8 }, 'q8_0', /got dim 40\. /],
      [{ subNorms: true, rescale: 'l2' }, 'f32', /rescale l2.*; relu2 gates/],
    ];
    const before = readdirSync(directory);
    for (const [overrides, type, message] of cases) {
      const run = createTinyRun(overrides);
      await expect(write(run, type)).rejects.toThrow(message);
      run.remove();
    }
    expect(readdirSync(directory)).toEqual(before);
  });

  it('names the number that f16 cannot hold, and leaves nothing behind', async () => {
    const run = createTinyRun(SILU);
    const file = join(run.directory, 'checkpoints/step-000007/model.safetensors');
    const bytes = readFileSync(file);
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE(0))));
    const begin = 8 + Number(bytes.readBigUInt64LE(0)) + header['layers.1.qkv'].data_offsets[0];
    // Row 3 of [32, 96], column 33: row 1 of k, which stands as row 2 of its head.
    bytes.writeFloatLE(1e5, begin + 4 * (3 * 96 + 33));
    writeFileSync(file, bytes);
    const before = readdirSync(directory);
    await expect(write(run, 'f16')).rejects.toThrow(
      /blk\.1\.attn_k\.weight: row 2, column 3 is 100000: f16 cannot hold it/,
    );
    expect(readdirSync(directory)).toEqual(before);
    run.remove();
  });

  it('never replaces a file, and stops where it is asked to', async () => {
    const run = createTinyRun(SILU);
    const { path } = await write(run);
    const before = readFileSync(path);
    const source = openExportSource(run.directory);
    await expect(writeGguf(source, path, { type: 'f16' })).rejects.toThrow(/exists by now/);
    expect(readFileSync(path).equals(before)).toBe(true);
    const controller = new AbortController();
    const stopped = { signal: controller.signal, onProgress: (done: number) => done > 20_000 && controller.abort() };
    await expect(writeGguf(source, `${path}2`, { type: 'f32', ...stopped })).rejects.toThrow(/aborted/);
    expect(readdirSync(directory).filter((name) => name.includes('tmp') || name.endsWith('2'))).toEqual([]);
    source.close();
    run.remove();
  });
});

describe('ggufTokenizerMetadata', () => {
  const bpe = (more: object) => ({
    ...{ pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false }, added_tokens: [] },
    model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: ['a b'] },
    ...more,
  });
  const read = (tokenizer: object, vocabSize = 3, tokenizerConfig: object | null = null) =>
    ggufTokenizerMetadata({ tokenizer, tokenizerConfig }, vocabSize);

  const smollm = sharedPath('data/tokenizers/smollm2-tokenizer.json');
  it.skipIf(missing(smollm) !== null)('knows a published tokenizer', () => {
    const metadata = read(readJson<object>(smollm), 49152, {
      bos_token: '<|im_start|>',
      eos_token: { content: '<|im_end|>' },
    });
    expect(metadata.get('tokenizer.ggml.pre')).toEqual({ string: 'gpt-2' });
    expect((metadata.get('tokenizer.ggml.tokens') as { strings: string[] }).strings).toHaveLength(49152);
    expect(metadata.get('tokenizer.ggml.bos_token_id')).toEqual({ u32: 1 });
    expect(metadata.get('tokenizer.ggml.eos_token_id')).toEqual({ u32: 2 });
  });

  it('fills ids up, takes merges in both forms and the chat template along', () => {
    const added_tokens = [{ id: 2, content: '<x>', special: false }];
    const metadata = read(bpe({ added_tokens }), 4, { chat_template: '{{ x }}', add_bos_token: true });
    expect(metadata.get('tokenizer.ggml.tokens')).toEqual({ strings: ['a', 'b', '<x>', '[PAD3]'] });
    expect(metadata.get('tokenizer.ggml.token_type')).toEqual({ i32s: [1, 1, 4, 5] });
    expect(metadata.get('tokenizer.ggml.merges')).toEqual({ strings: ['a b'] });
    expect(metadata.get('tokenizer.chat_template')).toEqual({ string: '{{ x }}' });
    expect(metadata.get('tokenizer.ggml.add_bos_token')).toEqual({ bool: true });
    expect(metadata.has('tokenizer.ggml.bos_token_id')).toBe(false);
  });

  it('has the names of splits that are not our own', () => {
    const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
    const sequence = (...pretokenizers: object[]) => ({ pre_tokenizer: { type: 'Sequence', pretokenizers } });
    const split = (digits: string) => {
      const words = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";
      const rest = '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
      return { type: 'Split', pattern: { Regex: words + digits + rest }, behavior: 'Isolated', invert: false };
    };
    const nameOf = (json: object) => read(bpe(json)).get('tokenizer.ggml.pre');
    const digits = { type: 'Digits', individual_digits: true };
    expect(nameOf(sequence(digits, { ...bytes, use_regex: true }))).toEqual({ string: 'smollm' });
    expect(nameOf(sequence(split('\\p{N}'), bytes))).toEqual({ string: 'qwen2' });
    const model = { type: 'BPE', vocab: { a: 0 }, merges: [], ignore_merges: true };
    expect(nameOf({ ...sequence(split('\\p{N}{1,3}'), bytes), model })).toEqual({ string: 'llama-bpe' });
    expect(nameOf(sequence(split('\\p{N}{1,3}'), bytes))).toEqual({ string: 'dbrx' });
    expect(() => nameOf({ model })).toThrow(/no name for its pre-tokenizer that takes words that are tokens whole/);
  });

  it('refuses what llama.cpp would read as another tokenizer', () => {
    const vocab = { a: 0 };
    const cases: [object, RegExp][] = [
      [bpe({ model: { type: 'Unigram', vocab: [] } }), /expected BPE, got Unigram/],
      [
        bpe({ model: { type: 'BPE', byte_fallback: true, vocab, merges: [] } }),
        /the pieces of SentencePiece.*it changes texts by more than spaces/,
      ],
      [bpe({ normalizer: { type: 'NFKC' } }), /normalises texts .*NFKC/],
      [bpe({ pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } }), /no name for its pre-tokenizer/],
      [bpe({ pre_tokenizer: null }), /no name for its pre-tokenizer/],
      [bpe({ added_tokens: [{ id: 9, content: '<x>', special: true }] }), /its token 9 is beyond the 3/],
    ];
    for (const [json, message] of cases) expect(() => read(json)).toThrow(message);
  });
});
