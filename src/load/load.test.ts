/**
 * load in Node: its text against the engine's own loop, what a token kept against the definition of top-K; from a path and from a URL alike.
 */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StaticServer, serveFolders } from '../../test/support/static-server.ts';
import { createTinyPacked, type TinyPacked } from '../../test/support/tiny-packed.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { Engine } from '../infer/engine.ts';
import { generateText } from '../infer/generate-text.ts';
import { Sampler } from '../infer/sampler.ts';
import { featuresAt, POINTS } from '../model/config.ts';
import { parametersAt } from '../model/flops.ts';
import { loadModel } from '../model/load-model.ts';
import { tokenizerOfModel } from '../tokenizer/tokenizer-of-model.ts';
import { BusyError, FormatError, UsageError } from '../util/errors.ts';
import { load } from './load.ts';
import type { LoadProgress, TextModel, TextOptions, TextPiece, TextSummary } from './text-model.ts';

const PROMPT = 'The quick brown';
const GREEDY: TextOptions = { temperature: 0, maxTokens: 20 };

let packed: TinyPacked;
let folder: string;
let server: StaticServer;
let model: TextModel;
beforeAll(async () => {
  packed = await createTinyPacked('int8');
  folder = mkdtempSync(join(tmpdir(), 'qsparse-load-'));
  cpSync(packed.directory, join(folder, 'model'), { recursive: true });
  server = await serveFolders({ folders: { '/': folder } });
  model = await load(packed.directory);
});
afterAll(async () => {
  await model.dispose();
  await server.close();
  packed.remove();
  rmSync(folder, { recursive: true });
});

async function write(from: TextModel, prompt: Parameters<TextModel['generate']>[0], options: TextOptions = GREEDY) {
  const pieces: TextPiece[] = [];
  const stream = from.generate(prompt, options);
  for (;;) {
    const next = await stream.next();
    if (next.done) return { pieces, text: pieces.map(({ text }) => text).join(''), summary: next.value as TextSummary };
    pieces.push(next.value);
  }
}

/** The same model on the reference backend, through the engine alone. */
async function plainText(options: { sparsity?: number; stop?: string[] } = {}): Promise<string> {
  const backend = createReferenceBackend();
  const loaded = loadModel(packed.directory, backend);
  const engine = new Engine(loaded.config, loaded.weights, backend);
  let text = '';
  const sampler = new Sampler({ temperature: 0 });
  const all = { sampler, maxTokens: 20, ...options };
  for await (const piece of generateText(engine, tokenizerOfModel(loaded), PROMPT, all)) text += piece;
  engine.dispose();
  loaded.dispose();
  return text;
}

describe('load', () => {
  it('writes what the engine writes, at any sparsity', async () => {
    const { text, pieces, summary } = await write(model, PROMPT);
    expect(text).toBe(await plainText());
    expect(pieces.filter(({ id }) => id !== null)).toHaveLength(20);
    expect(summary).toMatchObject({ finishReason: 'length', tokens: 20 });
    const sparser = await write(model, PROMPT, { ...GREEDY, sparsity: 0.75 });
    expect(sparser.text).toBe(await plainText({ sparsity: 0.75 }));
    expect(sparser.text).not.toBe(text);
  });

  it('says what each token kept: nothing of the prompt, then what top-K keeps', async () => {
    const silu = await createTinyPacked('int8', { activation: 'silu' });
    const other = await load(silu.directory);
    const sparsity = { qkv: 0.75, o: 0.5, gateUp: 0.25, down: 0.6 };
    const { pieces, summary } = await write(other, PROMPT, { ...GREEDY, sparsity });
    const { config } = other.info;
    await other.dispose();
    silu.remove();
    // Of each point floor(S D) of D inputs are 0; a layer's share weighs the points by their weights.
    const all = POINTS.reduce((sum, point) => sum + parametersAt(config, point), 0);
    const kept = POINTS.reduce((sum, point) => {
      const features = featuresAt(config, point);
      return sum + (1 - Math.floor(sparsity[point] * features) / features) * parametersAt(config, point);
    }, 0);
    expect(pieces[0].kept).toBeNull();
    for (const piece of pieces.slice(1)) {
      expect(piece.kept).toHaveLength(2);
      for (const share of piece.kept!) expect(share).toBeCloseTo(kept / all, 12);
    }
    const mean = pieces.slice(1).flatMap(({ kept }) => kept!);
    expect(summary.sparsity).toBeCloseTo(1 - mean.reduce((sum, share) => sum + share, 0) / mean.length, 10);
    expect(summary.activatedParameters).toBeCloseTo(2 * all * (1 - summary.sparsity!), 6);
    const { selection, products, attention, head, other: rest } = summary.partsMs;
    expect(selection + products + attention + head + rest).toBeCloseTo(summary.generateMs, 6);
    for (const ms of [selection, products, attention, head]) expect(ms).toBeGreaterThan(0);
  });

  it('ends at a stop string, by its signal, and where its reader leaves', async () => {
    const whole = (await write(model, PROMPT)).text;
    const stop = whole.slice(6, 9);
    const stopped = await write(model, PROMPT, { ...GREEDY, stop: [stop] });
    expect(stopped.text).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(stopped.summary.finishReason).toBe('stop');

    const abort = new AbortController();
    const stream = model.generate(PROMPT, { ...GREEDY, signal: abort.signal });
    await stream.next();
    abort.abort();
    const rest = [];
    let next = await stream.next();
    for (; !next.done; next = await stream.next()) rest.push(next.value);
    expect(next.value.finishReason).toBe('aborted');
    expect(rest.filter(({ id }) => id !== null)).toEqual([]);

    for await (const _ of model.generate(PROMPT, GREEDY)) break;
    expect((await write(model, PROMPT)).text).toBe(whole);
  });

  it('writes one text at a time', async () => {
    const first = model.generate(PROMPT, GREEDY);
    await first.next();
    await expect(model.generate(PROMPT, GREEDY).next()).rejects.toThrow(BusyError);
    await first.return(undefined as never);
  });

  it('writes a conversation as a play where the model has no form of its own', async () => {
    const { text } = await write(model, [{ role: 'user', content: 'The dog?' }]);
    expect(text).toBe(
      (await write(model, 'User: The dog?\nAssistant:', { ...GREEDY, stop: ['\nUser:', '\nAssistant:'] })).text,
    );
  });

  it('refuses prompts and options that cannot be', async () => {
    await expect(write(model, PROMPT.repeat(100))).rejects.toThrow(UsageError);
    await expect(write(model, PROMPT, { temperature: -1 })).rejects.toThrow(UsageError);
    await expect(load(packed.directory, { contextTokens: 1000 })).rejects.toThrow(/1 to the model's context/);
    await expect(load(packed.directory, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  });
});

describe('load from a URL', () => {
  it('writes what it writes from a path, and tells how far it is', async () => {
    const progress: LoadProgress[] = [];
    const fetched = await load(`${server.url}model/`, { onProgress: (one) => progress.push(one) });
    expect((await write(fetched, PROMPT)).text).toBe((await write(model, PROMPT)).text);
    expect(fetched.info).toMatchObject({ name: 'model', dtype: 'int8', contextTokens: 64, hasChatTemplate: false });
    await fetched.dispose();
    const bytes = readFileSync(join(packed.directory, 'model.safetensors')).length;
    for (const phase of ['fetch', 'read']) {
      const last = progress.filter((one) => one.phase === phase && one.file.endsWith('.safetensors')).at(-1);
      expect(last, phase).toMatchObject({ loadedBytes: bytes, totalBytes: bytes });
    }
  });

  it('opens a GGUF file', async () => {
    const gguf = new URL('../../test/golden/data/gguf-models/', import.meta.url);
    const files = await serveFolders({ folders: { '/': gguf.pathname.replace(/\/$/, '') } });
    const [fromUrl, fromPath] = [await load(`${files.url}llama.gguf`), await load(join(gguf.pathname, 'llama.gguf'))];
    const options = { temperature: 0, maxTokens: 8 };
    expect((await write(fromUrl, 'a b', options)).text).toBe((await write(fromPath, 'a b', options)).text);
    expect(fromUrl.info.dtype).toBe('f32');
    for (const one of [fromUrl, fromPath]) await one.dispose();
    await files.close();
  });

  it('refuses what is not there, damaged or not of the same model', async () => {
    await expect(load(`${server.url}nothing/`)).rejects.toThrow(
      /config\.json does not exist: expected the directory of a packed/,
    );
    const file = join(folder, 'model/model.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(file, bytes);
    await expect(load(`${server.url}model`)).rejects.toThrow(/tensor "norm" at byte \d+: expected the sha256/);
    writeFileSync(file, bytes.subarray(0, bytes.length - 8));
    await expect(load(`${server.url}model`)).rejects.toThrow(FormatError);
    writeFileSync(join(folder, 'model/config.json'), '{"formatVersion": 99}');
    await expect(load(`${server.url}model`)).rejects.toThrow(/expected formatVersion 1, found 99/);
  });
});
