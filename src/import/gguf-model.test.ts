import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { f32Bytes, type GgufKey, type GgufTensorBytes, ggufBytes } from '../../test/support/gguf-bytes.ts';
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
      /rope\.dimension_count: expected the whole head|nHeads|head/,
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
      'a theta of 0',
      () => changed(scalar('llama.rope.freq_base', 6, 0)),
      /rope\.freq_base: expected a number above 0, found 0/,
    ],
    [
      'soft caps',
      () => changed(scalar('llama.final_logit_softcapping', 6, 30)),
      /llama\.final_logit_softcapping: expected no such key/,
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
      /"rope_freqs\.weight".*expected 2 factors of Llama 3's scaling.*found 3 at element 1|found .* at element/,
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
