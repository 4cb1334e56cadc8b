/** `qsparse convert --to` as a process: what it writes, says, refuses, and leaves behind when it is stopped. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPlainGguf } from '../support/plain-gguf-reader.ts';
import { stopConverting } from '../support/stop-converting.ts';
import { createTinyRun, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

let run: TinyRun;
let directory: string;
beforeAll(() => {
  run = createTinyRun({ activation: 'silu' });
  directory = mkdtempSync(join(tmpdir(), 'qsparse-export-'));
});
afterAll(() => {
  run.remove();
  rmSync(directory, { recursive: true });
});

const convert = (...args: string[]) => runCommand(['convert', ...args]);
const FILES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

describe.skipIf(mainMissing !== null)(`convert --to${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('writes a Hugging Face directory and says what other programs will not compute', async () => {
    const out = join(directory, 'hf');
    const { code, stdout, stderr } = await convert(run.directory, out, '--to', 'hf', '--dtype', 'bf16');
    expect(code).toBe(0);
    expect(stdout).toMatch(/as LlamaForCausalLM in bf16, written in .*\n.*hf: 20 tensors, 29,920 numbers, /);
    expect(stderr).toMatch(/compute the dense function of these weights: they know nothing of its topk sparsity/);
    expect(readdirSync(out).sort()).toEqual(FILES);
  });

  it('writes a GGUF file, and one JSON object about it', async () => {
    const out = join(directory, 'tiny.gguf');
    const { code, stdout } = await convert(run.directory, out, '--to', 'gguf', '--dtype', 'q8_0', '--json');
    expect(code).toBe(0);
    const gguf = readPlainGguf(out);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ out, format: 'gguf', dtype: 'q8_0', architecture: 'llama', tensors: gguf.tensors.size, bytes: gguf.bytes },
      leftOut: ['its topk sparsity'],
    });
    expect(gguf.metadata.get('general.name')).toBe('tiny');
  });

  it('writes models of other programs, a GGUF file as a directory and back', async () => {
    const golden = fileURLToPath(new URL('../golden/data/gguf-models/qwen2.gguf', import.meta.url));
    const [folder, file] = [join(directory, 'qwen2-hf'), join(directory, 'qwen2.gguf')];
    const first = await convert(golden, folder, '--to', 'hf', '--json');
    expect(first.code, first.stderr).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({ architecture: 'Qwen2ForCausalLM', leftOut: [] });
    expect(readdirSync(folder).sort()).toEqual(FILES);
    const second = await convert(folder, file, '--to', 'gguf');
    expect(second.code, second.stderr).toBe(0);
    expect(second.stdout).toMatch(/as qwen2 in f32, written in /);
    const [before, after] = [golden, file].map(readPlainGguf);
    expect(new Set(after.tensors.keys())).toEqual(new Set(before.tensors.keys()));
    const name = 'blk.1.attn_k.bias';
    expect(after.tensors.get(name)!.numbers).toEqual(before.tensors.get(name)!.numbers);
  });

  it('refuses in one line what it cannot do, and replaces nothing', async () => {
    const there = join(directory, 'there.gguf');
    const full = join(directory, 'full');
    writeFileSync(there, 'precious');
    mkdirSync(full);
    writeFileSync(join(full, 'notes.txt'), 'precious');
    const relu2 = createTinyRun();
    const cases: [string[], RegExp][] = [
      [[run.directory, '--to', 'hf'], /expected a directory to write, got none/],
      [[run.directory, join(directory, 'a'), '--to', 'hf', '--dtype', 'f16'], /\[--dtype\] expected one of f32, bf16/],
      [
        [run.directory, join(directory, 'a'), '--to', 'gguf', '--dtype', 'int8'],
        /one of f32, f16, q8_0 with --to gguf/,
      ],
      [[run.directory, join(directory, 'a'), '--dtype', 'q8_0'], /got "q8_0", which goes with --to gguf/],
      [[run.directory, join(directory, 'a'), '--to', 'onnx'], /\[--to\] expected one of checkpoint, hf, gguf/],
      [[run.directory, join(directory, 'a'), '--to', 'hf', '--group', '8'], /\[--group\] it belongs to packed models/],
      [[run.directory, there, '--to', 'gguf'], /there\.gguf exists: .*never replaced/],
      [[run.directory, there, '--to', 'gguf', '--force'], /\[--force\] it belongs to packed models/],
      [[run.directory, full, '--to', 'hf'], /full exists: .*never replaced/],
      [
        [relu2.directory, join(directory, 'a'), '--to', 'gguf'],
        /relu2 gates: llama\.cpp has squared ReLUs without gates only/,
      ],
    ];
    const refuse = async ([args, message]: (typeof cases)[number]) => {
      const { code, stdout, stderr } = await convert(...args);
      expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^error: [^\n]*\n$/);
      expect(stderr).toMatch(message);
    };
    await Promise.all(cases.map(refuse));
    relu2.remove();
    expect(existsSync(join(directory, 'a'))).toBe(false);
    expect(readFileSync(there, 'utf8')).toBe('precious');
    expect(readdirSync(full)).toEqual(['notes.txt']);
  });

  it('leaves nothing behind on Ctrl-C, and no OUT after kill -9', async () => {
    const large = createTinyRun({ nLayers: 8, dim: 256, hiddenDim: 1024, activation: 'silu' });
    const place = join(directory, 'stopped');
    mkdirSync(place);
    for (const format of ['hf', 'gguf']) {
      const args = [large.directory, join(place, `out.${format}`), '--to', format] as const;
      expect((await stopConverting(args, 'writing', 'SIGINT')).code).toBe(130);
      expect(readdirSync(place)).toEqual([]);
      expect((await stopConverting(args, 'writing', 'SIGKILL')).code).toBe(null);
      expect(existsSync(join(place, `out.${format}`))).toBe(false);
      expect((await convert(...args)).code).toBe(0);
      expect(readdirSync(place)).toEqual([`out.${format}`]);
      rmSync(join(place, `out.${format}`), { recursive: true });
    }
    large.remove();
  }, 30_000);
});
