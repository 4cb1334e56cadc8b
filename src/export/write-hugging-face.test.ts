import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTinyRun, type TinyRun } from '../../test/support/tiny-checkpoint.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { readCheckpoint } from '../formats/checkpoint-directory.ts';
import { openSafetensors, type TensorEntry } from '../formats/safetensors.ts';
import { fromHfWeights } from '../model/hf-weights.ts';
import { loadModel } from '../model/load-model.ts';
import type { PackOptions } from '../model/pack-plan.ts';
import { sourceOfCheckpoint } from '../model/parameter-source.ts';
import type { ModelConfigInput } from '../model/resolve-config.ts';
import { writePackedModel } from '../model/write-packed-model.ts';
import { preTokenizer } from '../tokenizer/pre-tokenizers.ts';
import { openExportSource } from './export-source.ts';
import { type HuggingFaceOptions, writeHuggingFace } from './write-hugging-face.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-hf-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

let written = 0;

async function write(path: string, options: HuggingFaceOptions = { type: 'f32' }) {
  const out = join(directory, `hf-${written++}`);
  const source = openExportSource(path);
  try {
    const report = await writeHuggingFace(source, out, options);
    return { out, report, config: json(out, 'config.json') };
  } finally {
    source.close();
  }
}

const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));

async function withRun<T>(overrides: Partial<ModelConfigInput>, body: (run: TinyRun) => Promise<T>): Promise<T> {
  const run = createTinyRun(overrides);
  try {
    return await body(run);
  } finally {
    run.remove();
  }
}

/** All tensors of all files. */
function readAll(out: string): Map<string, TensorEntry> {
  const tensors = new Map<string, TensorEntry>();
  for (const name of readdirSync(out).filter((name) => name.endsWith('.safetensors'))) {
    const file = openSafetensors(join(out, name));
    expect(file.metadata).toEqual({ format: 'pt' });
    for (const tensor of file.tensors.keys()) tensors.set(tensor, file.tensor(tensor));
    file.close();
  }
  return tensors;
}

/** Reads a directory back into parameters, by names and layouts of hf-weights; `rename` gives the names of the directory. */
function expectParameters(run: TinyRun, out: string, rename = (name: string) => name): void {
  const tensors = readAll(out);
  const back = run.model.parameters.map((parameter) => ({
    ...parameter,
    value: { ...parameter.value, data: new Float32Array(parameter.value.data.length) },
  }));
  fromHfWeights(back, (name) => {
    const { shape, data } = tensors.get(rename(name)) ?? {};
    return shape && { shape, data: data as Float32Array };
  });
  for (const [i, { name, value }] of run.model.parameters.entries()) {
    expect(back[i].value.data, name).toEqual(value.data);
  }
}

describe('writeHuggingFace', () => {
  it('writes every number, in files of limited size with an index', async () => {
    await withRun({ tiedEmbeddings: false, nKvHeads: 1 }, async (run) => {
      const { out, report } = await write(run.directory, { type: 'f32', maxShardBytes: 20_000 });
      expectParameters(run, out);
      const index = json(out, 'model.safetensors.index.json');
      expect(report.files.length).toBeGreaterThan(4);
      expect(report.files[1]).toBe(`model-00002-of-0000${report.files.length}.safetensors`);
      expect(new Set(Object.values(index.weight_map))).toEqual(new Set(report.files));
      const weights = run.model.parameters.reduce((sum, { value }) => sum + value.data.length, 0);
      expect(index.metadata).toEqual({ total_size: 4 * weights });
      expect(report).toMatchObject({ architecture: 'LlamaForCausalLM', weights, bytes: 4 * weights });
      for (const [name, file] of Object.entries(index.weight_map as Record<string, string>)) {
        const shard = openSafetensors(join(out, file));
        expect(shard.tensors.has(name)).toBe(true);
        const bytes = [...shard.tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
        expect(shard.tensors.size === 1 || bytes <= 20_000).toBe(true);
        shard.close();
      }
    });
  });

  it('describes the model in the words of transformers, and what is sparse about it in ours', async () => {
    const sparsity = { qkv: 0.5, o: 0.4, gateUp: [0.1, 0.2], down: 0 };
    await withRun({ sparsity, ropeTheta: 5e5, seqLen: 48, headDim: 8, activationFormat: 'int8' }, async (run) => {
      const { out, config } = await write(run.directory);
      expect(readdirSync(out).sort()).toEqual([
        'config.json',
        'generation_config.json',
        'model.safetensors',
        'tokenizer.json',
        'tokenizer_config.json',
      ]);
      expect(config).toEqual({
        ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: 32, intermediate_size: 64 },
        ...{ num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 2, head_dim: 8, vocab_size: 290 },
        ...{ max_position_embeddings: 48, rope_theta: 5e5, rms_norm_eps: 1e-5, hidden_act: 'relu2' },
        ...{ tie_word_embeddings: true, attention_bias: false, mlp_bias: false, bos_token_id: 0, eos_token_id: 0 },
        torch_dtype: 'float32',
        qsparse: { sparsifier: 'topk', sparsity, gradient: 'straight-through', activationFormat: 'int8' },
      });
      expect(json(out, 'generation_config.json')).toEqual({ bos_token_id: 0, eos_token_id: 0 });
      expect(json(out, 'tokenizer_config.json')).toMatchObject({ eos_token: '<|endoftext|>', add_bos_token: false });
      const checkpoint = readCheckpoint(join(run.directory, 'checkpoints/step-000007'));
      expect(json(out, 'tokenizer.json')).toEqual(checkpoint.tokenizer);
      checkpoint.close();
    });
  });

  it('takes Mistral for windows, Mixtral for mixtures, BitNet for sub-norms', async () => {
    await withRun({ nExperts: 3, nExpertsPerToken: 2, activation: 'silu', sparsity: 0 }, async (run) => {
      const { out, config } = await write(run.directory);
      expect(config).toMatchObject({
        model_type: 'mixtral',
        num_local_experts: 3,
        num_experts_per_tok: 2,
        sliding_window: null,
      });
      expect(config.qsparse).toBeUndefined();
      // The names of Mistral AI's own release: w1 is the gate, w3 up, w2 down.
      const names: Record<string, string> = { gate_proj: 'w1', up_proj: 'w3', down_proj: 'w2' };
      expectParameters(run, out, (name) => {
        const [, before, after] = /^(.*)\.mlp\.(.*)$/.exec(name) ?? [];
        if (before === undefined) return name;
        return `${before}.block_sparse_moe.${after.replace(/\w+_proj/, (projection) => names[projection])}`;
      });
    });
    await withRun({ subNorms: true }, async (run) => {
      const { out, config } = await write(run.directory);
      expect(config).toMatchObject({ model_type: 'bitnet', architectures: ['BitNetForCausalLM'], hidden_act: 'relu2' });
      expectParameters(run, out);
    });
  });

  it('says where transformers will cut texts as Qwen2 does and this tokenizer does not', async () => {
    await withRun({ qkvBias: true }, async (run) => {
      const { report } = await write(run.directory);
      expect(report).toMatchObject({ architecture: 'Qwen2ForCausalLM', splitsOtherwise: true });
      const source = openExportSource(run.directory);
      const tokenizer = { ...source.text.tokenizer, pre_tokenizer: preTokenizer('qwen2', 'here').step };
      const text = { ...source.text, tokenizer };
      const asQwen2 = await writeHuggingFace({ ...source, text }, join(directory, 'qwen2'), { type: 'f32' });
      expect(asQwen2.splitsOtherwise).toBe(false);
      source.close();
    });
    await withRun({}, async (run) => expect((await write(run.directory)).report.splitsOtherwise).toBe(false));
  });

  it('writes the numbers that a ternary model multiplies', async () => {
    await withRun({ weightFormat: 'ternary' }, async (run) => {
      const { out } = await write(run.directory);
      const backend = createReferenceBackend();
      const loaded = loadModel(run.directory, backend);
      const down = loaded.parameters.get('layers.1.down')!;
      const got = readAll(out).get('model.layers.1.mlp.down_proj.weight')!.data;
      expect(got.length).toBe(down.data.length);
      for (let i = 0; i < 64; i++) for (let o = 0; o < 32; o++) expect(got[o * 64 + i]).toBe(down.data[i * 32 + o]);
      loaded.dispose();
    });
  });

  it('rounds to bf16 and takes packed models that lost nothing, whatever their layout', async () => {
    await withRun({ tiedEmbeddings: false }, async (run) => {
      const pack = async (name: string, options: PackOptions) => {
        const checkpoint = readCheckpoint(join(run.directory, 'checkpoints/step-000007'));
        await writePackedModel(sourceOfCheckpoint(checkpoint), join(directory, name), options);
        checkpoint.close();
        return join(directory, name);
      };
      const channels = await write(await pack('f32-channels', { dtype: 'f32', layout: 'channels' }));
      expectParameters(run, channels.out);
      const rounded = readAll((await write(run.directory, { type: 'bf16' })).out);
      const packed = readAll((await write(await pack('bf16', { dtype: 'bf16' }), { type: 'bf16' })).out);
      for (const [name, { dtype, data }] of rounded) {
        expect(dtype).toBe('BF16');
        expect(packed.get(name)!.data, name).toEqual(data);
      }
      await expect(write(await pack('int8', { dtype: 'int8' }))).rejects.toThrow(
        /was rounded to int8: expected f32 or bf16/,
      );
      expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
    });
  });

  it('refuses what transformers has no architecture for', async () => {
    const cases: [Partial<ModelConfigInput>, RegExp][] = [
      [{ rescale: 'l2' }, /rescale l2: a model without it computes something else/],
      [{ sparsifier: 'relu', sparsity: 0 }, /its ReLUs are part of the function/],
      [{ subNorms: true, nExperts: 2, nExpertsPerToken: 1 }, /sub-norms in a mixture/],
      [{ subNorms: true, headDim: 8 }, /heads of 16 features together: BitNet has dim, 32/],
    ];
    for (const [overrides, message] of cases) {
      await withRun(overrides, (run) => expect(write(run.directory)).rejects.toThrow(message));
    }
  });

  it('leaves nothing behind where it is stopped', async () => {
    await withRun({}, async (run) => {
      const before = readdirSync(directory);
      const controller = new AbortController();
      const onProgress = (done: number) => done > 10_000 && controller.abort();
      const stopped = write(run.directory, { type: 'f32', signal: controller.signal, onProgress });
      await expect(stopped).rejects.toThrow(/aborted/);
      expect(readdirSync(directory)).toEqual(before);
    });
  });
});
