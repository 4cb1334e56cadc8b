import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  f32Bytes,
  type GgufKey,
  type GgufTensorBytes,
  ggufBytes,
  oneElementArrays,
} from '../../test/support/gguf-bytes.ts';
import { TINY_LLAMA, tinyGguf } from '../../test/support/tiny-gguf.ts';
import { openByteSource } from '../formats/open-byte-source.ts';
import { describeParameters } from '../model/parameters.ts';
import { FormatError } from '../util/errors.ts';
import { openGgufModel } from './gguf-model.ts';

const directory = mkdtempSync(join(tmpdir(), 'qsparse-gguf-model-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
function write(keys: readonly GgufKey[], tensors: readonly GgufTensorBytes[]): string {
  const path = join(directory, `model-${files++}.gguf`);
  writeFileSync(path, ggufBytes({ keys, tensors }));
  return path;
}

/** A tiny model with one thing changed. */
function changed(keys: Record<string, GgufKey | null>, tensors: Record<string, GgufTensorBytes | null> = {}): string {
  const { keys: allKeys, tensors: allTensors } = tinyGguf(TINY_LLAMA);
  const newKeys = new Map<string, GgufKey | null>(allKeys.map((key) => [key[0], key]));
  const newTensors = new Map<string, GgufTensorBytes | null>(allTensors.map((tensor) => [tensor.name, tensor]));
  for (const [name, key] of Object.entries(keys)) newKeys.set(name, key);
  for (const [name, tensor] of Object.entries(tensors)) newTensors.set(name, tensor);
  const there = <T>(values: Iterable<T | null>) => [...values].filter((one) => one !== null);
  return write(there(newKeys.values()), there(newTensors.values()));
}

describe('openGgufModel', () => {
  it('says that a part of a model is one', () => {
    const part = changed({ 'general.architecture': null, 'split.count': ['split.count', 4, 3] });
    expect(() => openGgufModel(openByteSource(part, 'gguf'))).toThrow(/is one of 3 parts: .*llama-gguf-split --merge/);
  });

  it('puts every tensor where the projections of ours are: q and k out of the order of neighbours, v as it is', () => {
    const { keys, tensors } = tinyGguf(TINY_LLAMA);
    const model = openGgufModel(openByteSource(write(keys, tensors), 'gguf'));
    const { dim, headDim, nHeads, nKvHeads } = TINY_LLAMA;
    const qkv = describeParameters(model.config).find(({ name }) => name === 'layers.1.qkv')!;
    const out = new Float32Array(qkv.shape[0] * qkv.shape[1]);
    model.read(qkv, out);
    const numbersOf = (name: string) => {
      const { data } = tensors.find((tensor) => tensor.name === name)!;
      return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    };
    const [q, k, v] = ['q', 'k', 'v'].map((name) => numbersOf(`blk.1.attn_${name}.weight`));
    const at = (row: number, column: number) => out[row * qkv.shape[1] + column];
    // Features 0, 1, 2, 3 of a head of 4 lie there as rows 0, 2, 1, 3.
    expect(headDim).toBe(4);
    for (const [feature, row] of [0, 2, 1, 3].entries()) {
      const second = headDim + feature;
      expect(at(5, second)).toBe(q[(headDim + row) * dim + 5]);
      expect(at(2, nHeads * headDim + feature)).toBe(k[row * dim + 2]);
    }
    expect(at(3, (nHeads + nKvHeads) * headDim + 1)).toBe(v[dim + 3]);
    model.close();
  });

  it('reads BitNet: ternary weights of sub-norms, in llama.cpp’s names', () => {
    const shape = { ...TINY_LLAMA, architecture: 'bitnet', subNorms: true };
    const { keys, tensors } = tinyGguf(shape);
    const model = openGgufModel(openByteSource(write(keys, tensors), 'gguf'));
    expect(model.config).toMatchObject({ subNorms: true, weightFormat: 'float', activationFormat: 'int8' });
    const norm = describeParameters(model.config).find(({ name }) => name === 'layers.1.ffnSubNorm')!;
    const out = new Float32Array(norm.shape[0]);
    model.read(norm, out);
    const { data } = tensors.find(({ name }) => name === 'blk.1.ffn_sub_norm.weight')!;
    expect(new Uint8Array(out.buffer)).toEqual(new Uint8Array(data));
    model.close();
  });

  const scalar = (name: string, type: number, value: unknown): Record<string, GgufKey> => ({
    [name]: [name, type, value],
  });
  const tensor = (name: string, shape: number[], numbers?: number[]): Record<string, GgufTensorBytes> => {
    const elements = shape.reduce((product, extent) => product * extent, 1);
    return { [name]: { name, shape, data: f32Bytes(numbers ?? new Array(elements).fill(0)) } };
  };
  const cases: [what: string, path: () => string, message: RegExp][] = [
    [
      'no architecture',
      () => changed({ 'general.architecture': null }),
      /general\.architecture: expected a name, found none/,
    ],
    [
      'an architecture of others',
      () => changed(scalar('general.architecture', 8, 'gemma3')),
      /at byte \d+: general\.architecture: expected one of llama, qwen2, qwen3, qwen3moe, bitnet, found "gemma3"/,
    ],
    ['a name of Object', () => changed(scalar('general.architecture', 8, 'constructor')), /found "constructor"/],
    [
      'no layers',
      () => changed({ 'llama.block_count': null }),
      /llama\.block_count: expected a whole number of at least 1, found none/,
    ],
    ['0 layers', () => changed(scalar('llama.block_count', 4, 0)), /at byte \d+: llama\.block_count: .*found 0/],
    [
      'a billion layers',
      () => changed(scalar('llama.block_count', 4, 10 ** 9)),
      /llama\.block_count: expected at most the 20 tensors of the file, found 1000000000/,
    ],
    [
      'a layer too many',
      () => changed(scalar('llama.block_count', 4, 3)),
      /tensor "blk\.2\.attn_norm\.weight": expected \[16\].*found no such tensor/,
    ],
    [
      'a layer too few',
      () => changed(scalar('llama.block_count', 4, 1)),
      /tensor "blk\.1\.attn_norm\.weight" at byte \d+ has no place/,
    ],
    [
      'text for a number',
      () => changed(scalar('llama.context_length', 8, '64')),
      /llama\.context_length: .*found "64"/,
    ],
    [
      'heads that do not divide',
      () => changed(scalar('llama.attention.head_count', 4, 5)),
      /llama\.attention\.head_count: expected a divisor of embedding_length, 16, found 5/,
    ],
    [
      'heads by layer',
      () => changed(scalar('llama.attention.head_count_kv', 9, [4, [1, 2]])),
      /head_count_kv: expected the same whole number for all layers/,
    ],
    [
      'a part of a head turned',
      () => changed(scalar('llama.rope.dimension_count', 4, 2)),
      /rope\.dimension_count: expected the whole head, 4, found 2/,
    ],
    [
      'YaRN',
      () => changed(scalar('llama.rope.scaling.type', 8, 'yarn')),
      /rope\.scaling\.type: expected none or linear.*found "yarn"/,
    ],
    [
      'YaRN beside divisors',
      () => changed(scalar('llama.rope.scaling.type', 8, 'yarn'), tensor('rope_freqs.weight', [2], [1, 1])),
      /rope\.scaling\.type: expected none or linear, found "yarn"/,
    ],
    [
      'a factor beside divisors',
      () => changed(scalar('llama.rope.scaling.factor', 6, 2), tensor('rope_freqs.weight', [2], [1, 1])),
      /at byte \d+: llama\.rope\.scaling\.factor: expected 1 beside the tensor rope_freqs\.weight.*found 2/,
    ],
    [
      'a factor below 0',
      () => changed(scalar('llama.rope.scaling.factor', 6, -2)),
      /rope\.scaling\.factor: expected a number above 0, found -2/,
    ],
    [
      'scaled attention',
      () => changed(scalar('llama.rope.scaling.attn_factor', 6, 1.5)),
      /at byte \d+: llama\.rope\.scaling\.attn_factor: expected no such key or 1, .*found 1\.5/,
    ],
    [
      'a theta of 0',
      () => changed(scalar('llama.rope.freq_base', 6, 0)),
      /rope\.freq_base: expected a number above 0, found 0/,
    ],
    [
      'soft caps',
      () => changed(scalar('llama.final_logit_softcapping', 6, 20)),
      /llama\.final_logit_softcapping: expected no such key or 0 or 30, .*found 20/,
    ],
    [
      'a shared expert',
      () => changed(scalar('llama.expert_shared_count', 4, 1)),
      /llama\.expert_shared_count: expected no such key or 0, .*found 1/,
    ],
    [
      'text in place of nothing',
      () => changed(scalar('llama.logit_scale', 8, '1')),
      /llama\.logit_scale: expected no such key or 0 or 1, .*found "1"/,
    ],
    [
      'a million experts',
      () => changed({ ...scalar('llama.expert_count', 4, 10 ** 6), ...scalar('llama.expert_used_count', 4, 2) }),
      /expert_count: expected at most 65536 experts/,
    ],
    [
      'no table',
      () => changed({}, { 'token_embd.weight': null }),
      /token_embd\.weight: expected a matrix with a row for each token, found no such tensor/,
    ],
    ['a table of one row', () => changed({}, tensor('token_embd.weight', [16])), /found a shape of \[16\]/],
    [
      'a missing tensor',
      () => changed({}, { 'blk.0.ffn_up.weight': null }),
      /tensor "blk\.0\.ffn_up\.weight": expected \[16, 24\].*found no such tensor/,
    ],
    [
      'a shape of another model',
      () => changed({}, tensor('blk.0.attn_k.weight', [16, 4])),
      /"blk\.0\.attn_k\.weight": expected \[16, 8\].*found \[16, 4\] at byte \d+/,
    ],
    [
      'a bias of o',
      () => changed({}, tensor('blk.0.attn_output.bias', [16])),
      /"blk\.0\.attn_output\.bias" at byte \d+ has no place in this architecture/,
    ],
    [
      'frequencies of others',
      () => changed({}, tensor('rope_freqs.weight', [2], [1, 3])),
      /"rope_freqs\.weight".*expected 2 factors of Llama 3's scaling.*found 3 at element 1/,
    ],
    ['no tokenizer', () => changed({ 'tokenizer.ggml.model': null }), /tokenizer\.ggml\.model/],
  ];
  for (const [what, path, message] of cases) {
    it(`refuses ${what}`, () => {
      const file = path();
      expect(() => openGgufModel(openByteSource(file, 'gguf'))).toThrow(FormatError);
      expect(() => openGgufModel(openByteSource(file, 'gguf'))).toThrow(message);
      expect(() => openGgufModel(openByteSource(file, 'gguf'))).toThrow(/^\[\w+\] [^\n]*$/);
    });
  }

  const keysRead = ['general.alignment', 'general.architecture', 'llama.block_count', 'llama.rope.scaling.type'];
  const others = ['llama.rope.scaling.factor', 'llama.logit_scale', 'llama.expert_count', 'tokenizer.ggml.model'];
  it.each([...keysRead, ...others, 'tokenizer.ggml.tokens'])(
    'refuses an array of any type as %s, in one line',
    (key) => {
      for (const { type, bytes } of oneElementArrays()) {
        const open = () => openGgufModel(openByteSource(changed(scalar(key, 9, bytes)), 'gguf'));
        expect(open, `type ${type}`).toThrow(FormatError);
        expect(open, `type ${type}`).toThrow(/^\[\w+\] [^\n]*$/);
      }
    },
  );

  const configOf = (...keys: Record<string, GgufKey>[]) => {
    const model = openGgufModel(openByteSource(changed(Object.assign({}, ...keys)), 'gguf'));
    model.close();
    return model.config;
  };

  it('reads a file in which every key is set, those of no meaning to 0 or 1, as llama.cpp saves one', () => {
    const whole = ['expert_count', 'expert_used_count', 'expert_shared_count', 'leading_dense_block_count'];
    const zeros = ['attention.sliding_window', 'attention.kv_lora_rank', ...whole];
    const scales = ['expert_weights_scale', 'logit_scale', 'residual_scale', 'embedding_scale', 'attention.scale'];
    const caps = { attn_logit_softcapping: 50, final_logit_softcapping: 30, 'attention.clamp_kqv': 0 };
    const rope = { 'rope.scaling.factor': 0, 'rope.scaling.attn_factor': 1, 'attention.max_alibi_bias': 0 };
    const saved = [
      ...zeros.map((name) => scalar(`llama.${name}`, 4, 0)),
      ...scales.map((name) => scalar(`llama.${name}`, 6, 0)),
      ...Object.entries({ ...caps, ...rope }).map(([name, value]) => scalar(`llama.${name}`, 6, value)),
      scalar('llama.rope.scaling.type', 8, 'linear'),
    ];
    expect(configOf(...saved)).toEqual(configOf());
    const neutral = scales.slice(0, 4).map((name) => scalar(`llama.${name}`, 6, 1));
    expect(configOf(...neutral, scalar('llama.final_logit_softcapping', 6, 0))).toEqual(configOf());
  });

  it('scales RoPE as llama.cpp does: by a factor without a type too, and never with the type none', () => {
    const factor = scalar('llama.rope.scaling.factor', 6, 4);
    const type = (name: string) => scalar('llama.rope.scaling.type', 8, name);
    const linear = { type: 'linear', factor: 4 };
    expect(configOf(factor).ropeScaling).toEqual(linear);
    expect(configOf(factor, type('linear')).ropeScaling).toEqual(linear);
    expect(configOf(factor, type('none')).ropeScaling).toBeNull();
    expect(configOf(scalar('llama.rope.scale_linear', 6, 4)).ropeScaling).toEqual(linear);
    const old = scalar('llama.rope.scale_linear', 6, 2);
    expect(configOf(factor, old).ropeScaling).toEqual(linear);
    expect(configOf(scalar('llama.rope.scaling.factor', 6, 0), old).ropeScaling).toBeNull();
  });

  it('says where a weight is NaN or infinite, when it is read', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const numbers = Array.from({ length: 16 * 24 }, (_, i) => (i === 100 ? bad : i));
      const path = changed({}, tensor('blk.0.ffn_up.weight', [16, 24], numbers));
      const model = openGgufModel(openByteSource(path, 'gguf'));
      const gateUp = describeParameters(model.config).find(({ name }) => name === 'layers.0.gateUp')!;
      const byte = readFileSync(path).indexOf(Buffer.from(f32Bytes([1, 2, 3]))) - 4;
      expect(() => model.read(gateUp, new Float32Array(16 * 48))).toThrow(
        new RegExp(
          `tensor "blk\\.0\\.ffn_up\\.weight" at byte ${byte}: element 100: expected a finite number, found ${bad}`,
        ),
      );
      model.close();
    }
  });
});
