/** Models of other programs through the commands, as processes: run, looked at, measured, packed, and made a checkpoint. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ggufBytes } from '../support/gguf-bytes.ts';
import { mainMissing, runCommand } from '../support/tiny-checkpoint.ts';
import { TINY_LLAMA, tinyGguf } from '../support/tiny-gguf.ts';
import { writeTinyLlama2c } from '../support/tiny-llama2c.ts';

let directory: string;
let gguf: string;
let llama2c: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-foreign-'));
  gguf = join(directory, 'tiny.gguf');
  writeFileSync(gguf, ggufBytes(tinyGguf(TINY_LLAMA)));
  llama2c = writeTinyLlama2c(join(directory, 'llama2c'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const GREEDY = ['--temperature', '0', '--max-tokens', '12', '--json'];

async function generated(model: string): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runCommand(['generate', model, '--prompt', 'the', ...GREEDY]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe.skipIf(mainMissing !== null)(`models of other programs${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('generate, inspect and bench take a GGUF file and a llama2.c checkpoint', async () => {
    const text = await generated(gguf);
    expect(text).toMatchObject({ model: gguf, promptTokens: 1, finishReason: 'length', sparsity: 0 });
    // BOS, a space and three letters.
    expect(await generated(llama2c)).toMatchObject({ model: llama2c, promptTokens: 5 });
    const inspected = await runCommand(['inspect', gguf, '--max-tokens', '40', '--json']);
    expect(JSON.parse(inspected.stdout)).toMatchObject({ model: gguf });
    const bench = ['bench', 'prefill', gguf, '--tokens', '8', '--repeat', '1', '--sparsity', '0,0.5', '--json'];
    expect((await runCommand(bench)).code).toBe(0);
  });

  it('convert packs them, with what goes with the tokenizer; the text stays the same', async () => {
    for (const [name, model, files] of [
      ['packed', gguf, ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']],
      ['packed-llama2c', llama2c, ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']],
    ] as const) {
      const out = join(directory, name);
      const { code, stdout } = await runCommand(['convert', model, out, '--dtype', 'f32', '--json']);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ model, out, format: name === 'packed' ? 'gguf' : 'llama2.c' });
      expect(readdirSync(out).sort()).toEqual(files);
      const [before, after] = [await generated(model), await generated(out)];
      expect({ text: after.text, tokens: after.promptTokens }).toEqual({
        text: before.text,
        tokens: before.promptTokens,
      });
      expect((await runCommand(['convert', '--verify', out])).code).toBe(0);
      expect((await runCommand(['convert', model, out, '--dtype', 'int8', '--force'])).code).toBe(0);
    }
  });

  it('convert --to checkpoint makes what training commands take, and never writes over anything', async () => {
    const out = join(directory, 'checkpoint');
    const refused = await runCommand(['calibrate', gguf, '--sparsity', '0.4', '--out', join(directory, 'no')]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/is a model of another program: .*qsparse convert .*tiny\.gguf DIR --to checkpoint/);
    const { code, stdout } = await runCommand(['convert', gguf, out, '--to', 'checkpoint']);
    expect(code).toBe(0);
    expect(stdout).toContain('a checkpoint of');
    expect((await generated(out)).text).toBe((await generated(gguf)).text);
    const calibrated = join(directory, 'calibrated');
    expect((await runCommand(['calibrate', out, '--sparsity', '0.4', '--out', calibrated])).code).toBe(0);
    expect(existsSync(join(calibrated, 'tokenizer_config.json'))).toBe(true);
    const state = JSON.parse(readFileSync(join(out, 'state.json'), 'utf8')) as Record<string, unknown>;
    expect(state).toMatchObject({ step: 0, state: { importedFrom: { format: 'gguf', name: 'tiny.gguf' } } });
    const again = await runCommand(['convert', gguf, out, '--to', 'checkpoint']);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/holds something already; nothing was written/);
  });

  it('refuses in one line what is none, or what does not go together', async () => {
    const text = join(directory, 'a.txt');
    writeFileSync(text, 'Once upon a time');
    const broken = join(directory, 'broken.gguf');
    writeFileSync(broken, ggufBytes(tinyGguf(TINY_LLAMA)).subarray(0, 3000));
    const out = join(directory, 'refused');
    const cases: [args: string[], code: number, message: RegExp][] = [
      [['generate', text, '--prompt', 'a'], 1, /a\.txt: expected a run, .*a GGUF file.*found a file of another kind/],
      [['generate', broken, '--prompt', 'a'], 1, /\[gguf\] .*broken\.gguf: at byte \d+: .*Is it truncated\?/],
      [['inspect', directory], 1, /expected config\.json/],
      [
        ['convert', gguf, out, '--to', 'checkpoint', '--dtype', 'int8'],
        2,
        /\[--dtype\] it does not go with --to checkpoint/,
      ],
      [['convert', gguf, '--to', 'checkpoint'], 2, /expected a directory to write/],
      [['convert', gguf, out], 2, /\[--dtype\] expected one of/],
      [['convert', gguf, out, '--dtype', 'int8', '--layout', 'channels'], 2, /SiLU gate is never closed/],
      [['bench', 'train', gguf], 2, /\[bench\] .*is a model of another program/],
    ];
    for (const [args, code, message] of cases) {
      const result = await runCommand(args);
      expect({ code: result.code, stdout: result.stdout }, args.join(' ')).toEqual({ code, stdout: '' });
      expect(result.stderr).toMatch(/^error: [^\n]*\n$/);
      expect(result.stderr).toMatch(message);
    }
    expect(existsSync(out)).toBe(false);
  });
});
