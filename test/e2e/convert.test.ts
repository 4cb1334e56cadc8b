/** `qsparse convert` as a process: what it writes, refuses, and leaves behind when it is stopped. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensorsHeader } from '../../src/formats/safetensors.ts';
import { readPlainPacked } from '../support/plain-packed-reader.ts';
import { stopConverting } from '../support/stop-converting.ts';
import { createTinyRun, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

let run: TinyRun;
let directory: string;
beforeAll(() => {
  run = createTinyRun();
  closeGates(run, 1);
  directory = mkdtempSync(join(tmpdir(), 'qsparse-convert-'));
});
afterAll(() => {
  run.remove();
  rmSync(directory, { recursive: true });
});

/** Gates of 0 are closed, whatever comes in. */
function closeGates(of: TinyRun, layer: number): void {
  const file = join(of.directory, 'checkpoints/step-000007/model.safetensors');
  const { byteOffset, shape } = readSafetensorsHeader(file).tensors.get(`layers.${layer}.gateUp`)!;
  const bytes = readFileSync(file);
  for (let row = 0; row < shape[0]; row++)
    bytes.fill(0, byteOffset + 4 * row * shape[1], byteOffset + 4 * (row + 0.5) * shape[1]);
  writeFileSync(file, bytes);
}

const convert = (...args: string[]) => runCommand(['convert', ...args]);
const modelOf = (path: string) => join(path, 'model.safetensors');

describe.skipIf(mainMissing !== null)(`convert${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('packs a run, prints what it takes and how far off it is, and verifies it', async () => {
    const out = join(directory, 'int8');
    const { code, stdout } = await convert(run.directory, out, '--dtype', 'int8', '--group', '16');
    expect(code).toBe(0);
    for (const word of ['embedding', 'qkv', 'gateUp', 'bits/weight', 'largest error', 'feed-forward: fused', out]) {
      expect(stdout).toContain(word);
    }
    expect(readdirSync(out).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect(readPlainPacked(modelOf(out)).tensors['layers.0.qkv.scale'].shape).toEqual([2, 96]);
    // 9 matrices, their scales, 5 norms.
    const verified = await convert('--verify', out);
    expect(verified.stdout).toMatch(/int8: 23 tensors, .*, every hash is right\n$/);
    const bytes = readFileSync(modelOf(out));
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(modelOf(out), bytes);
    const damaged = await convert(out, '--verify', '--json');
    expect(damaged.code).toBe(1);
    expect(damaged.stdout).toBe('');
    expect(damaged.stderr).toMatch(/error: \[packed\] .*: tensor "norm" at byte \d+: expected the sha256 .*\n$/);
  });

  it('gives one JSON object, and chooses layouts by the gates that are open on a text', async () => {
    const out = join(directory, 'auto');
    const text = join(directory, 'text.txt');
    writeFileSync(text, 'The quick brown fox runs over the lazy dog. '.repeat(10));
    const args = ['--dtype', 'ternary', '--text', text, '--backend', 'reference', '--json'];
    const { code, stdout } = await convert(run.directory, out, ...args);
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as Record<string, never> & {
      openGates: number[];
      parts: { part: string; dtype: string; weights: number }[];
    };
    expect(result).toMatchObject({ step: 7, out, layouts: ['fused', 'channels'] });
    expect(result.openGates[1]).toBe(0);
    expect(result.openGates[0]).toBeGreaterThan(0.2);
    expect(Object.fromEntries(result.parts.map(({ part, dtype }) => [part, dtype]))).toMatchObject({
      ...{ embedding: 'int8', qkv: 'ternary', gateUp: 'ternary', gate: 'ternary', up: 'ternary', norms: 'f32' },
    });
    expect(result.fileBytes).toBe(readFileSync(modelOf(out)).length);
    const weights = run.model.parameters.reduce((sum, { value }) => sum + value.data.length, 0);
    expect(result.parts.find(({ part }) => part === 'all')?.weights).toBe(weights);
    expect(Object.keys(readPlainPacked(modelOf(out)).matrices)).toContain('layers.1.up');
  });

  it('replaces a packed model with --force only, and nothing else ever', async () => {
    const out = join(directory, 'force');
    expect((await convert(run.directory, out, '--dtype', 'bf16')).code).toBe(0);
    const before = readFileSync(modelOf(out));
    const again = await convert(run.directory, out, '--dtype', 'f32');
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/^error: \[convert\] .*force exists: .*--force.*\n$/);
    expect(readFileSync(modelOf(out)).equals(before)).toBe(true);
    expect((await convert(run.directory, out, '--dtype', 'f32', '--force')).code).toBe(0);
    expect(readFileSync(modelOf(out)).equals(before)).toBe(false);
    const onRun = await convert(run.directory, run.directory, '--dtype', 'f32', '--force');
    expect(onRun.code).toBe(2);
    expect(onRun.stderr).toContain('exists and is no packed model');
    expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('refuses in one line what it cannot do', async () => {
    const cases: [string, (out: string) => string[], number, RegExp][] = [
      ['no OUT', () => [run.directory, '--dtype', 'int8'], 2, /\[convert\] expected a directory to write/],
      ['no type', (out) => [run.directory, out], 2, /\[--dtype\] expected one of f32, bf16, int8, ternary, got none/],
      ['an unknown type', (out) => [run.directory, out, '--dtype', 'int4'], 2, /\[--dtype\] .*Did you mean "int8"/],
      [
        'groups of ternary',
        (out) => [run.directory, out, '--dtype', 'ternary', '--group', '8'],
        2,
        /only int8 projections have groups/,
      ],
      [
        'text without a question',
        (out) => [run.directory, out, '--dtype', 'f32', '--layout', 'fused', '--text', 'x'],
        2,
        /\[--text\] --layout fused needs no text/,
      ],
      ['no model', (out) => [join(directory, 'none'), out, '--dtype', 'f32'], 1, /none: does not exist/],
      [
        'a GGUF file',
        (out) => [foreign('a.gguf', 'GGUF....'), out, '--dtype', 'f32'],
        1,
        /\[gguf\] .*a\.gguf: at byte 4: expected a little-endian GGUF file/,
      ],
      [
        'a Hugging Face model',
        (out) => [foreign('hf/config.json', '{"model_type":"llama"}'), out, '--dtype', 'f32'],
        1,
        /\[hugging-face\] .*hf\/config\.json: .*problems: .*hidden_size must be a whole number .*, got undefined/,
      ],
      ['hashes of a checkpoint', () => [run.directory, '--verify'], 2, /which has no hashes/],
      ['an OUT that is not written', (out) => [run.directory, out, '--verify'], 2, /\[--verify\] it writes nothing/],
    ];
    const refuse = async ([name, args, code, message]: (typeof cases)[number]) => {
      const out = join(directory, `refused ${name}`);
      const result = await convert(...args(out));
      expect({ code: result.code, stdout: result.stdout }, name).toEqual({ code, stdout: '' });
      expect(result.stderr, name).toMatch(/^error: [^\n]*\n$/);
      expect(result.stderr, name).toMatch(message);
      expect(existsSync(out), name).toBe(false);
    };
    await Promise.all(cases.map(refuse));
  });

  it('refuses a model that is packed already', async () => {
    const packed = join(directory, 'packed');
    await convert(run.directory, packed, '--dtype', 'f32');
    const { code, stderr } = await convert(packed, join(directory, 'twice'), '--dtype', 'int8');
    expect(code).toBe(2);
    expect(stderr).toMatch(/is packed already: expected a checkpoint of training/);
  });

  it('leaves nothing behind on Ctrl-C, and no OUT after kill -9', async () => {
    const large = createTinyRun({ nLayers: 8, dim: 256, hiddenDim: 1024 });
    const place = join(directory, 'stopped');
    mkdirSync(place);
    const args = [large.directory, join(place, 'out'), '--dtype', 'int8'] as const;
    expect(await stopConverting(args, 'packing', 'SIGINT')).toMatchObject({ code: 130, stdout: '' });
    expect(readdirSync(place)).toEqual([]);
    expect(await stopConverting(args, 'packing', 'SIGKILL')).toMatchObject({ code: null, stdout: '' });
    expect(existsSync(join(place, 'out'))).toBe(false);
    expect((await convert(...args)).code).toBe(0);
    expect(readdirSync(place)).toEqual(['out']);
    large.remove();
  }, 30_000);
});

/** A file or folder of another program; the path to give. */
function foreign(name: string, content: string): string {
  const path = join(directory, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return name.endsWith('config.json') ? join(path, '..') : path;
}
