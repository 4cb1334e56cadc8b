import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { LoadedModel } from '../../model/load-model.ts';
import { modelIdentity } from './model-identity.ts';

const folder = mkdtempSync(join(tmpdir(), 'qsparse-identity-'));
afterAll(() => rmSync(folder, { recursive: true }));

const RUNNING = { kv: 'f32', prefixToken: null } as const;
const identity = (path: string, changes: Partial<LoadedModel> = {}) => {
  const model = { path, step: 0, config: {}, dtypes: {}, tokenizer: { a: 1 }, tokenizerConfig: null, ...changes };
  return modelIdentity(model as unknown as LoadedModel, RUNNING) as Record<string, unknown>;
};
const written = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

it('is of what lies in a file, not of its name', () => {
  const path = written('model.gguf', 'GGUF of one model');
  const first = identity(path);
  expect(identity(path)).toEqual(first);
  written('model.gguf', 'GGUF of two model');
  expect(identity(path)).toEqual({ ...first, weights: expect.not.stringMatching(first.weights as string) });
  expect(identity(path, { tokenizer: { a: 2 } }).tokenizer).not.toBe(first.tokenizer);
  expect(identity(path, { tokenizerConfig: { add_bos_token: true } }).tokenizer).not.toBe(first.tokenizer);
});

it('is of the weights in a directory: all of several files, or the one that is loaded', () => {
  written('model-00001-of-00002.safetensors', 'one');
  written('model-00002-of-00002.safetensors', 'two');
  const sharded = identity(folder).weights;
  written('model-00002-of-00002.safetensors', '2');
  expect(identity(folder).weights).not.toBe(sharded);
  written('model.safetensors', 'whole');
  const whole = identity(folder).weights;
  written('model-00002-of-00002.safetensors', 'two');
  written('optimizer.safetensors', 'none of the model');
  expect(identity(folder).weights).toBe(whole);
});
