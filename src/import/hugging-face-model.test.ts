import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { openSafetensors, type TensorEntry, writeSafetensors } from '../formats/safetensors.ts';
import { describeParameters, type ParameterInfo } from '../model/parameters.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { Tokenizer } from '../tokenizer/tokenizer.ts';
import { FormatError } from '../util/errors.ts';
import type { ForeignModel } from './foreign-model.ts';
import { isHuggingFace, openHuggingFace } from './hugging-face-model.ts';
import { readHuggingFaceText } from './hugging-face-text.ts';
import { isForeign } from './open-model.ts';

const golden = fileURLToPath(new URL('../../test/golden/data/hugging-face', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'qsparse-hugging-face-'));
afterAll(() => rmSync(scratch, { recursive: true }));

let copies = 0;
/** A copy of a golden model that may be damaged. */
function copyOf(name: string): string {
  const directory = join(scratch, `${name}-${copies++}`);
  cpSync(join(golden, name), directory, { recursive: true });
  return directory;
}

function edit(directory: string, file: string, change: (json: Record<string, never>) => object): void {
  const path = join(directory, file);
  const json = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify(change(json)));
}

/** The tensors of a single file, changed. */
function editTensors(directory: string, change: (tensors: Map<string, TensorEntry>) => void): void {
  const path = join(directory, 'model.safetensors');
  const file = openSafetensors(path);
  const tensors = new Map([...file.tensors.keys()].map((name) => [name, file.tensor(name)]));
  file.close();
  change(tensors);
  writeSafetensors(path, tensors.values());
}

function opened<T>(directory: string, use: (model: ForeignModel) => T): T {
  const model = openHuggingFace(directory);
  try {
    return use(model);
  } finally {
    model.close();
  }
}

function parameter(model: ForeignModel, name: string): Float32Array {
  const info = describeParameters(model.config).find((one) => one.name === name) as ParameterInfo;
  const out = new Float32Array(sizeOf(info.shape));
  model.read(info, out);
  return out;
}

function readAll(model: ForeignModel): void {
  for (const { name } of describeParameters(model.config)) parameter(model, name);
}

function errorOf(directory: string, use: (model: ForeignModel) => void = () => {}): string {
  try {
    opened(directory, use);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).not.toMatch(/\n/);
    return (error as FormatError).message;
  }
  throw new Error('accepted');
}

describe('openHuggingFace', () => {
  it('says what it opened', () => {
    opened(join(golden, 'qwen3'), ({ format, config, text, bytes, path }) => {
      expect([format, path]).toEqual(['hugging-face', join(golden, 'qwen3')]);
      expect(config).toMatchObject({ dim: 24, qkNorm: true, headDim: 8, tiedEmbeddings: true });
      expect(text.tokenizerConfig).toMatchObject({ bos_token: '<s>', eos_token: '</s>', eosTokenIds: [2] });
      const elements = describeParameters(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      expect(bytes).toBe(4 * elements);
    });
    expect([isHuggingFace(join(golden, 'qwen3')), isHuggingFace(golden), isForeign(golden)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('puts the projections of one input side by side, inputs first', () => {
    const directory = copyOf('llama2');
    const file = openSafetensors(join(directory, 'model.safetensors'));
    const v = file.tensor('model.layers.1.self_attn.v_proj.weight').data;
    file.close();
    const qkv = opened(directory, (model) => parameter(model, 'layers.1.qkv'));
    // Output 3 of v, input 7: column 24 + 24 + 3 of row 7.
    expect(qkv[7 * 72 + 51]).toBe(v[3 * 24 + 7]);
  });

  it('unpacks codes as four runs of rows', () => {
    const directory = copyOf('bitnet');
    editTensors(directory, (tensors) => {
      const codes = tensors.get('model.layers.0.mlp.down_proj.weight')!;
      // Rows 0, 6, 12 and 18 of [24, 40] at input 1: -1, 0, 1, 1.
      (codes.data as Uint8Array)[1] = 0b10_10_01_00;
      const scale = tensors.get('model.layers.0.mlp.down_proj.weight_scale')!;
      scale.data[0] = 0x3f00; // 0.5
    });
    const down = opened(directory, (model) => parameter(model, 'layers.0.down'));
    expect([0, 6, 12, 18].map((output) => down[24 + output])).toEqual([-0.5, 0, 0.5, 0.5]);
  });

  it('takes a head beside a tied table where it is another one, as transformers does', () => {
    const directory = copyOf('bitnet-online');
    const tied = () => opened(directory, ({ config }) => config.tiedEmbeddings);
    editTensors(directory, (tensors) => {
      const table = tensors.get('model.embed_tokens.weight')!;
      tensors.set('lm_head.weight', { ...table, name: 'lm_head.weight' });
    });
    expect(tied()).toBe(true);
    editTensors(directory, (tensors) => {
      tensors.get('lm_head.weight')!.data[959] = 1;
    });
    expect(tied()).toBe(false);
    expect(opened(directory, (model) => parameter(model, 'head'))[959]).toBe(1);
  });

  it('is refused where a tensor is missing, of another shape or dtype, or belongs to nothing', () => {
    const directory = copyOf('llama2');
    const change = (change: (tensors: Map<string, TensorEntry>) => void) => {
      const damaged = copyOf('llama2');
      editTensors(damaged, change);
      return errorOf(damaged);
    };
    const name = 'model.layers.0.mlp.up_proj.weight';
    expect(change((tensors) => tensors.delete(name))).toContain(`expected the tensor ${name} [40, 24], found none`);
    expect(change((tensors) => tensors.set(name, { ...tensors.get(name)!, shape: [24, 40] }))).toMatch(
      /tensor model\.layers\.0\.mlp\.up_proj\.weight at byte \d+: expected F32, F16, BF16 \[40, 24\], found F32 \[24, 40\]/,
    );
    const bytes = { dtype: 'U8', data: new Uint8Array(960) } as const;
    expect(change((tensors) => tensors.set(name, { ...tensors.get(name)!, ...bytes }))).toContain('found U8 [40, 24]');
    const bias = 'model.layers.0.self_attn.q_proj.bias';
    expect(
      change((tensors) => tensors.set(bias, { name: bias, dtype: 'F32', shape: [24], data: new Float32Array(24) })),
    ).toMatch(/q_proj\.bias F32 \[24\] at byte \d+ belongs to no part of the model/);
    edit(directory, 'config.json', (json) => ({ ...json, num_hidden_layers: 1000 }));
    expect(errorOf(directory)).toContain('1000 layers: expected at least 9000 tensors, found 21');
  });

  it('finds numbers that are not finite, codes that are none and scales of 0 where they are read', () => {
    const damage = (name: string, tensor: string, index: number, value: number) => {
      const directory = copyOf(name);
      editTensors(directory, (tensors) => {
        tensors.get(tensor)!.data[index] = value;
      });
      return errorOf(directory, readAll);
    };
    expect(damage('llama2', 'model.norm.weight', 5, Number.NaN)).toMatch(
      /tensor "model\.norm\.weight" at byte \d+: element 5: expected a finite number, found NaN/,
    );
    expect(damage('smollm2', 'model.layers.0.mlp.up_proj.weight', 9, 0x7f80)).toContain('found Infinity');
    expect(damage('llama-linear', 'model.layers.0.mlp.up_proj.weight', 9, 0xfc00)).toContain('found -Infinity');
    const q = 'model.layers.0.self_attn.q_proj.weight';
    expect(damage('bitnet', q, 7, 0b11_00)).toMatch(/expected codes 0, 1 and 2, found 3 in byte \d+/);
    expect(damage('bitnet', `${q}_scale`, 0, 0)).toMatch(/q_proj\.weight_scale .* expected a number above 0, found 0/);
  });

  it('is refused without configuration, weights or tokenizer, each by its name', () => {
    const without = (...files: string[]) => {
      const directory = copyOf('llama2');
      for (const file of files) rmSync(join(directory, file));
      return directory;
    };
    expect(errorOf(without('config.json'))).toContain('expected config.json, found none');
    expect(errorOf(without('tokenizer.json'))).toContain('expected tokenizer.json or tokenizer.model, found neither');
    // Whose it is cannot be told; it is told what is wrong with it, not with the weights beside it.
    const cut = copyOf('llama2');
    writeFileSync(join(cut, 'config.json'), '{"model_type": "lla');
    expect(() => isForeign(cut)).toThrow(/config\.json/);
    const directory = without('model.safetensors');
    writeFileSync(join(directory, 'pytorch_model.bin'), '');
    expect(errorOf(directory)).toMatch(/found neither\. There is pytorch_model\.bin: save the model as safetensors/);
  });
});

describe('a SentencePiece file without a tokenizer.json', () => {
  const pieces = fileURLToPath(new URL('../../test/golden/data/sentencepiece/', import.meta.url));
  const withPieces = (files: Record<string, object>) => {
    const directory = copyOf('llama2');
    for (const name of ['tokenizer.json', 'tokenizer_config.json', 'added_tokens.json', 'special_tokens_map.json']) {
      rmSync(join(directory, name), { force: true });
    }
    const [model] = readdirSync(pieces).filter((name) => name.endsWith('.model'));
    cpSync(join(pieces, model), join(directory, 'tokenizer.model'));
    for (const [name, json] of Object.entries(files)) writeFileSync(join(directory, name), JSON.stringify(json));
    return readHuggingFaceText(directory, {});
  };
  const added = { content: '<|im_start|>', special: true, lstrip: false, rstrip: false, normalized: false };

  it('says how texts begin, unless tokenizer_config.json does', () => {
    expect(withPieces({}).tokenizerConfig).toMatchObject({ bos_token: '<s>', eos_token: '</s>', add_bos_token: true });
    const silent = { bos_token: null, chat_template: 'x' };
    expect(withPieces({ 'tokenizer_config.json': silent }).tokenizerConfig).toMatchObject({
      ...{ bos_token: '<s>', add_bos_token: true, chat_template: 'x' },
    });
    const other = { add_bos_token: false };
    expect(withPieces({ 'tokenizer_config.json': other }).tokenizerConfig.add_bos_token).toBe(false);
  });

  it('has the tokens that were added to it, from either file', () => {
    const size = Tokenizer.fromJson(withPieces({}).tokenizer).vocabSize;
    const decoder = { added_tokens_decoder: { [size]: added } };
    const byText = { '<|im_start|>': size, '<more>': size + 1 };
    for (const files of [
      { 'tokenizer_config.json': decoder },
      { 'added_tokens.json': byText },
      // The newer file alone counts, as in transformers: the older one may be of before.
      { 'tokenizer_config.json': decoder, 'added_tokens.json': { '[PAD]': size } },
    ]) {
      const tokenizer = Tokenizer.fromJson(withPieces(files).tokenizer);
      expect(tokenizer.encode('<|im_start|>')).toEqual([size]);
      expect(tokenizer.vocabSize).toBe(size + ('tokenizer_config.json' in files ? 1 : 2));
    }
    // Older files say nothing of what is special; the vocabulary does, and special_tokens_map.json.
    const old = { '<s>': 1, '<|im_start|>': size };
    const { tokenizer } = withPieces({
      'added_tokens.json': old,
      'special_tokens_map.json': { additional_special_tokens: ['<|im_start|>'] },
    });
    const added_tokens = (tokenizer as { added_tokens: { id: number; special: boolean }[] }).added_tokens;
    expect(added_tokens.filter(({ id }) => id === 1 || id === size).map(({ special }) => special)).toEqual([
      true,
      true,
    ]);
  });

  it('refuses an id that another token has, and what is no token', () => {
    const refuse = (decoder: object) => () =>
      withPieces({ 'tokenizer_config.json': { added_tokens_decoder: decoder } });
    expect(refuse({ 3: added })).toThrow(/"<\|im_start\|>" has the id 3: expected one that is its own/);
    expect(refuse({ 99999999: added })).toThrow(/expected ids below 1048576/);
    expect(refuse({ 400: null })).toThrow(/expected the text of a token/);
  });
});

describe('the index of several files', () => {
  const INDEX = 'model.safetensors.index.json';
  const NORM = 'model.norm.weight';
  const pointing = (to: unknown) => {
    const directory = copyOf('qwen3');
    edit(directory, INDEX, (json) => ({ ...json, weight_map: { ...(json.weight_map as object), [NORM]: to } }));
    return errorOf(directory);
  };

  it.each(['../a.safetensors', '/etc/a.safetensors', 'a/b.safetensors', 'a\\b.safetensors', INDEX, '', 7, null])(
    'does not lead to %j',
    (name) =>
      expect(pointing(name)).toMatch(/weight_map: "model\.norm\.weight": expected the name of a \.safetensors file/),
  );

  it('names files that are there and hold the tensor', () => {
    expect(pointing('none.safetensors')).toContain('none.safetensors');
    expect(pointing('model-00001-of-00004.safetensors')).toMatch(
      /expected the tensor "model\.norm\.weight" in model-00001/,
    );
    const directory = copyOf('qwen3');
    writeFileSync(join(directory, INDEX), '{"weight_map": []}');
    expect(errorOf(directory)).toContain('weight_map: expected an object');
  });

  it('gives way to a single file', () => {
    const directory = copyOf('qwen3');
    renameSync(join(directory, 'model-00001-of-00004.safetensors'), join(directory, 'model.safetensors'));
    expect(errorOf(directory)).toContain('expected at least 18 tensors, found 7');
  });
});
