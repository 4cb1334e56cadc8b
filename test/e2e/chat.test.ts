/** `qsparse chat` as a process, driven through a pipe, on a tiny model with a template. */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../src/infer/engine.ts';
import { argmax } from '../../src/infer/sampler.ts';
import { SingleSequence } from '../../src/infer/single-sequence.ts';
import { loadModel } from '../../src/model/load-model.ts';
import { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { createTinyRun, MAIN, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

const COMMON = ['--backend', 'reference', '--temperature', '0'];
/** `fox` for the system, `dog` for questions and `The` for answers: words that the tiny tokenizer has. */
const TEMPLATE = `{%- for message in messages -%}
{{- {'system': 'fox ', 'user': 'dog ', 'assistant': 'The'}[message.role] + message.content + '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'The' }}{%- endif -%}`;

let run: TinyRun;
let bare: TinyRun;

beforeAll(() => {
  run = createTinyRun({ seqLen: 256 });
  bare = createTinyRun();
  giveTemplate(run);
});
afterAll(() => {
  run.remove();
  bare.remove();
});

function giveTemplate({ directory }: TinyRun): void {
  const checkpoint = join(directory, 'checkpoints/step-000007');
  writeFileSync(join(checkpoint, 'tokenizer_config.json'), JSON.stringify({ chat_template: TEMPLATE }));
}

const chat = (input: string, ...args: string[]) => runCommand(['chat', run.directory, ...COMMON, ...args], { input });

interface Result {
  messages: { role: string; content: string }[];
  answers: { text: string; cachedTokens: number; promptTokens: number; sparsity: number; finishReason: string }[];
}

/** What the model says behind `prompt`, by the most literal loop: the whole text again for each token. */
function greedyText(prompt: string, tokens: number): string {
  const model = loadModel(run.directory, run.model.backend);
  const tokenizer = Tokenizer.fromJson(model.tokenizer);
  const ids = tokenizer.encode(prompt);
  const promptTokens = ids.length;
  for (let i = 0; i < tokens; i++) {
    const engine = new Engine(model.config, model.weights, run.model.backend);
    const next = argmax(new SingleSequence(engine).prefill(ids));
    if (next === tokenizer.endOfText) break;
    ids.push(next);
  }
  return tokenizer.decode(ids.slice(promptTokens)).replace(/^ +/, '');
}

describe.skipIf(mainMissing !== null)(`chat${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('answers every line of a pipe with all that was said before it', async () => {
    const { code, stdout, stderr } = await chat('runs\n\njumps', '--system', 'lazy', '--max-tokens', '6');
    const first = greedyText('fox lazy\ndog runs\nThe', 6);
    const second = greedyText(`fox lazy\ndog runs\nThe${first}\ndog jumps\nThe`, 6);
    expect(stdout).toBe(`${first}\n${second}\n`);
    expect(code).toBe(0);
    expect(
      stderr.match(/^6 tokens, .*\/s; prompt \d+, \d+ cached, .*s; [\d.]+ % skipped; --max-tokens$/gm),
    ).toHaveLength(2);
  });

  it('runs only what is new of a conversation, and all of it at another sparsity or after a reset', async () => {
    const lines = ['runs', 'jumps', '/sparsity 75%', 'over', '/reset', 'runs', '/exit', 'never'];
    const { stdout } = await chat(lines.join('\n'), '--max-tokens', '6', '--json');
    const { messages, answers } = JSON.parse(stdout) as Result;
    expect(answers).toHaveLength(4);
    expect(answers[0].cachedTokens).toBe(0);
    // All but the new line: the answer's tokens are found again where its text is cut alike.
    expect(answers[1].cachedTokens).toBeGreaterThanOrEqual(answers[0].promptTokens - 1);
    expect(answers[1].cachedTokens).toBeLessThan(answers[1].promptTokens);
    expect(answers[2].cachedTokens).toBe(0);
    expect(answers[2].sparsity).toBeGreaterThan(answers[1].sparsity + 0.1);
    expect(messages).toEqual([
      { role: 'user', content: 'runs' },
      { role: 'assistant', content: answers[3].text },
    ]);
  });

  it('stops the answer on Ctrl-C, and goes on with the next question', async () => {
    const slow = createTinyRun({ seqLen: 4000, nLayers: 8, dim: 256, hiddenDim: 1024 });
    giveTemplate(slow);
    const child = spawn(process.execPath, [
      MAIN,
      'chat',
      slow.directory,
      '--backend',
      'reference',
      '--temperature',
      '2',
    ]);
    const output = { stdout: '', stderr: '' };
    child.stdin.write('runs\n');
    child.stdout.on('data', (data: Buffer) => {
      if (output.stdout === '') {
        child.kill('SIGINT');
        child.stdin.end('/reset\n');
      }
      output.stdout += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      output.stderr += data.toString();
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    slow.remove();
    expect(output.stderr).toMatch(/\d tokens?[,;] .*; stopped\nthe conversation is forgotten\n$/);
    expect(output.stdout.endsWith('\n')).toBe(true);
    expect(code).toBe(0);
  }, 30_000);

  it('ends by SIGTERM', async () => {
    const child = spawn(process.execPath, [MAIN, 'chat', run.directory, ...COMMON, '--max-tokens', '3']);
    child.stdin.write('runs\n');
    child.stderr.on('data', () => child.kill('SIGTERM'));
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  });

  it('asks for a template where the model has none', async () => {
    const { code, stderr } = await runCommand(['chat', bare.directory, ...COMMON], { input: 'runs\n' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: \[chat\] .* has no chat template: .*--template plain.*\n$/);
  });

  it('writes a play where the plain form is asked for, and a template from a file', async () => {
    const ask = (template: string) =>
      runCommand(['chat', bare.directory, ...COMMON, '--template', template, '--max-tokens', '4', '--json'], {
        input: 'runs\n',
      });
    const plain = await ask('plain');
    expect(plain.code).toBe(0);
    const file = join(bare.directory, 'form.jinja');
    writeFileSync(file, `{{ 'User: ' + messages[0].content + '\\nAssistant:' }}`);
    const own = await ask(file);
    expect((JSON.parse(own.stdout) as Result).answers[0].text).toBe(
      (JSON.parse(plain.stdout) as Result).answers[0].text,
    );
    expect((await ask('plane')).stderr).toMatch(/^error: \[chat\] --template: expected plain or a file/);
  });

  it('says what is wrong in one line and ends with 2', async () => {
    for (const [input, message] of [
      ['/rest', 'there is no command /rest: .* Did you mean /reset'],
      ['/sparsity 2', 'expected a share of at least 0'],
      ['fox dog '.repeat(300), 'the prompt is too long: expected at most 256 tokens'],
    ]) {
      const { code, stderr } = await chat(`${input}\n`);
      expect(stderr).toMatch(new RegExp(`^error: \\[[^\\]]+\\] ${message}.*\\n$`));
      expect(code).toBe(2);
    }
  });
});
