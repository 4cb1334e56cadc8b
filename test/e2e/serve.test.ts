/** `qsparse serve` as a process, asked by OpenAI's own client, on tiny real models. */

import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prng } from '../../src/util/prng.ts';
import { type ServeProcess, startServe } from '../support/serve-process.ts';
import { createTinyRun, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

const BACKEND = ['--backend', 'reference'];
/** As in chat.test.ts: words that the tiny tokenizer has. */
const TEMPLATE = `{%- for message in messages -%}
{{- {'system': 'fox ', 'user': 'dog ', 'assistant': 'The'}[message.role] + message.content + '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'The' }}{%- endif -%}`;

/** The token that ends a text, which a test of long texts must forbid. */
const END = '0';

let tiny: TinyRun;
/** Takes tens of ms a token, so that an answer can be interrupted. */
let slow: TinyRun;
let folder: string;
let server: ServeProcess;

beforeAll(async () => {
  if (mainMissing !== null) return;
  tiny = createTinyRun({ seqLen: 256 });
  slow = createTinyRun({ seqLen: 2000, nLayers: 6, dim: 192, hiddenDim: 768 });
  writeFileSync(
    join(tiny.directory, 'checkpoints/step-000007/tokenizer_config.json'),
    JSON.stringify({ chat_template: TEMPLATE }),
  );
  folder = mkdtempSync(join(tmpdir(), 'qsparse-serve-'));
  writeFileSync(join(folder, 'broken.gguf'), 'GGUF and then nothing that makes sense');
  const run = join(folder, 'book');
  mkdirSync(run);
  const record = { type: 'run', name: 'book', startedAt: '2026-01-02T03:04:05Z', step: 0, train: { steps: 9 } };
  writeFileSync(join(run, 'metrics.jsonl'), `${JSON.stringify(record)}\n{"type":"step","step":4}\n{"type":"st`);
  const models = [`tiny=${tiny.directory}`, `slow=${slow.directory}`, join(folder, 'broken.gguf')];
  server = await startServe([...models, ...BACKEND, '--runs', folder, '--max-sequences', '6']);
});

afterAll(async () => {
  await server?.stop('SIGKILL');
  tiny?.remove();
  slow?.remove();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const greedy = { model: 'tiny', temperature: 0, max_tokens: 12 };
const messages: OpenAI.ChatCompletionMessageParam[] = [
  { role: 'system', content: 'lazy' },
  { role: 'user', content: 'runs' },
];

const get = async (path: string) => (await fetch(`${server.url}${path}`)).json() as Promise<never>;
const post = (path: string, body: object) =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

/** A gauge of /metrics for a model. */
async function gauge(name: string, model: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^qsparse_${name}\\{model="${model}"\\} (.*)$`, 'm').exec(text)?.[1]);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not come to that within 10 s');
}

describe.skipIf(mainMissing !== null)(`serve${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('continues texts as `generate` does', async () => {
    const answer = await server.client.completions.create({ ...greedy, prompt: 'The quick' });
    const common = ['--prompt', 'The quick', '--temperature', '0', '--max-tokens', '12', '--json'];
    const { stdout } = await runCommand(['generate', tiny.directory, ...common, ...BACKEND]);
    const wanted = JSON.parse(stdout) as { text: string; sparsity: number };
    expect(answer.choices[0].text).toBe(wanted.text);
    expect(answer.usage?.completion_tokens).toBe(12);
    const { qsparse } = answer.usage as unknown as { qsparse: { seconds: number; sparsity: number } };
    expect(qsparse.sparsity).toBeCloseTo(wanted.sparsity, 6);
    expect(qsparse.seconds).toBeGreaterThan(0);
  });

  it('answers conversations, whole and streamed, with the prompt found again', async () => {
    const { client } = server;
    const whole = await client.chat.completions.create({ ...greedy, messages });
    expect(whole.choices[0].message.content).not.toBe('');
    const stream = await client.chat.completions.create({
      ...greedy,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0].message.content);
    expect(usage?.prompt_tokens_details?.cached_tokens).toBe((whole.usage?.prompt_tokens ?? 0) - 1);
  });

  it('tells of each token how it was made, and runs at the sparsity that is asked for', async () => {
    const ask = async (sparsity: number | undefined) => {
      const response = await post('/v1/completions', {
        ...greedy,
        prompt: 'The fox',
        stream: true,
        qsparse: { details: true },
        ...(sparsity !== undefined && { sparsity }),
      });
      const events = (await response.text()).split('\n\n').filter((one) => one.startsWith('data: {'));
      return events.map((one) => (JSON.parse(one.slice(6)) as { qsparse?: Record<string, never> }).qsparse);
    };
    const details = await ask(undefined);
    const tokens = details.slice(0, -1) as unknown as { id: number; ms: number; kept: number[] }[];
    expect(tokens).toHaveLength(12);
    for (const { kept, ms } of tokens) {
      // Half of the inputs of three points, and those behind open gates of the fourth.
      expect(kept).toHaveLength(2);
      for (const share of kept) expect(share).toBeGreaterThan(0.3);
      for (const share of kept) expect(share).toBeLessThan(0.65);
      expect(ms).toBeGreaterThan(0);
    }
    const end = details.at(-1) as unknown as { sparsity: number; parts: Record<string, number>; generateMs: number };
    const total = Object.values(end.parts).reduce((sum, ms) => sum + ms, 0);
    expect(total).toBeCloseTo(end.generateMs, 0);
    const sparser = (await ask(0.75)).at(-1) as unknown as { sparsity: number };
    expect(sparser.sparsity).toBeGreaterThan(end.sparsity + 0.1);
  });

  it('keeps JSON inside of a schema', async () => {
    const schema = {
      type: 'object',
      properties: { name: { type: 'string', maxLength: 6 }, age: { enum: [7, 8] } },
      required: ['name', 'age'],
      additionalProperties: false,
    };
    const formats = [
      { type: 'json_object' as const },
      { type: 'json_schema' as const, json_schema: { name: 'person', schema, strict: true } },
    ];
    for (const response_format of formats) {
      const answer = await server.client.chat.completions.create({
        ...{ model: 'tiny', messages, n: 4, seed: 1, max_tokens: 100 },
        response_format,
      });
      // Of any object this model may write without an end; one of the schema is short.
      if (response_format.type === 'json_schema')
        expect(answer.choices.some(({ finish_reason }) => finish_reason === 'stop')).toBe(true);
      for (const { message, finish_reason } of answer.choices) {
        const text = message.content ?? '';
        expect(text).toMatch(/^\s*\{/);
        if (finish_reason !== 'stop') continue; // the beginning of a document
        const value = JSON.parse(text) as { name?: string; age?: number };
        if (response_format.type === 'json_object') continue;
        expect(Object.keys(value).sort()).toEqual(['age', 'name']);
        expect([...(value.name ?? '')].length).toBeLessThanOrEqual(6);
        expect([7, 8]).toContain(value.age);
      }
    }
    const bad = server.client.chat.completions.create({
      ...{ model: 'tiny', messages },
      response_format: { type: 'json_schema', json_schema: { name: 'bad', schema: { type: 'strng' } } },
    });
    await expect(bad).rejects.toMatchObject({ status: 400, param: 'response_format', code: 'schema' });
  });

  it('lists models, with one that cannot be loaded, and keeps serving the others', async () => {
    const { data } = await server.client.models.list();
    expect(data.map(({ id }) => id)).toEqual(['tiny', 'slow', 'broken']);
    expect((await server.client.models.retrieve('tiny')).id).toBe('tiny');
    const listed = (await get('/api/models')) as { id: string; loaded: boolean; config: { dim: number } | null }[];
    expect(listed.map(({ loaded }) => loaded)).toEqual([true, true, false]);
    expect(listed.map(({ config }) => config?.dim)).toEqual([32, 192, undefined]);
    const refused = server.client.completions.create({ model: 'broken', prompt: 'a' });
    await expect(refused).rejects.toMatchObject({ status: 503, code: 'model_not_loadable' });
    expect(server.log()).toMatch(/cannot load broken: .*GGUF/i);
    expect((await server.client.completions.create({ ...greedy, prompt: 'The' })).choices).toHaveLength(1);
  });

  it('unloads and loads again', async () => {
    const before = await server.client.completions.create({ ...greedy, prompt: 'The dog' });
    expect(await (await post('/api/models/unload', { id: 'tiny' })).json()).toEqual({ id: 'tiny', loaded: false });
    const listed = (await get('/api/models')) as { loaded: boolean }[];
    expect(listed[0].loaded).toBe(false);
    await post('/api/models/load', { id: 'tiny' });
    const after = await server.client.completions.create({ ...greedy, prompt: 'The dog' });
    expect(after.choices).toEqual(before.choices);
  });

  it('makes tokens of text and text of tokens', async () => {
    const { tokens } = (await (await post('/tokenize', { prompt: 'The fox' })).json()) as { tokens: number[] };
    expect(await (await post('/detokenize', { tokens })).json()).toEqual({ prompt: 'The fox' });
    const chat = (await (await post('/tokenize', { messages })).json()) as { tokens: number[] };
    const text = (await (await post('/detokenize', { tokens: chat.tokens })).json()) as { prompt: string };
    expect(text.prompt).toBe('fox lazy\ndog runs\nThe');
  });

  it('shows the runs of a folder and what is new of them', async () => {
    const [run] = (await get('/api/runs')) as { id: string; name: string; step: number; maxSteps: number }[];
    expect(run).toMatchObject({ name: 'book', step: 4, maxSteps: 9, startedAt: '2026-01-02T03:04:05Z' });
    const first = await fetch(`${server.url}/api/runs/${run.id}/metrics`);
    const text = await first.text();
    expect(text.trim().split('\n')).toHaveLength(2); // without the line that is being written
    const next = await fetch(`${server.url}/api/runs/${run.id}/metrics?from=${first.headers.get('x-next-byte')}`);
    expect(await next.text()).toBe('');
    expect((await fetch(`${server.url}/api/runs/..%2Fbook/metrics`)).status).toBe(404);
  });

  it('gives errors that the client understands', async () => {
    const { completions, chat } = server.client;
    await expect(completions.create({ model: 'tny', prompt: 'a' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(completions.create({ ...greedy, prompt: 'a', top_p: 7 })).rejects.toMatchObject({
      status: 400,
      param: 'top_p',
      type: 'invalid_request_error',
    });
    await expect(completions.create({ ...greedy, prompt: 'dog '.repeat(400) })).rejects.toMatchObject({
      code: 'context_length_exceeded',
    });
    await expect(chat.completions.create({ model: 'slow', messages })).rejects.toMatchObject({
      code: 'no_chat_template',
    });
    const tools = [{ type: 'function' as const, function: { name: 'f' } }];
    await expect(chat.completions.create({ ...greedy, messages, tools })).rejects.toMatchObject({ param: 'tools' });
  });

  it('ends an answer whose client leaves', async () => {
    const stream = await server.client.completions.create({
      model: 'slow',
      prompt: 'The',
      max_tokens: 1500,
      logit_bias: { [END]: -100 },
      stream: true,
    });
    for await (const _ of stream) break; // which closes the connection
    await until(async () => (await gauge('running', 'slow')) === 0);
    expect(await gauge('queued', 'slow')).toBe(0);
  });

  it('answers each of many clients as if it were alone, while others vanish', async () => {
    const prng = new Prng(1);
    const prompts = ['The fox', 'The dog sleeps', 'lazy', 'The quick brown fox jumps'];
    const bodies = Array.from({ length: 32 }, (_, i) => ({
      model: 'tiny',
      prompt: prompts[i % 4],
      max_tokens: 4 + prng.below(40),
      ...(i % 2 ? { temperature: 0 } : { seed: i }),
    }));
    const ask = async (body: (typeof bodies)[number], leaveAfter = Infinity) => {
      const stream = await server.client.completions.create({ ...body, stream: true });
      let text = '';
      let pieces = 0;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.text ?? '';
        if (++pieces > leaveAfter) return null;
      }
      return text;
    };
    const together = await Promise.all(bodies.map((body, i) => ask(body, i % 3 === 0 ? prng.below(4) : Infinity)));
    for (const [i, body] of bodies.entries()) {
      if (together[i] !== null) expect([i, together[i]]).toEqual([i, await ask(body)]);
    }
    await until(async () => (await gauge('running', 'tiny')) === 0);
    expect((await get('/health')) as object).toMatchObject({ status: 'ok' });
  });

  it('refuses what does not fit the queue, and says when to come again', async () => {
    const small = await startServe([`slow=${slow.directory}`, ...BACKEND, '--max-sequences', '1', '--max-queued', '1']);
    try {
      const body = { model: 'slow', prompt: 'The', max_tokens: 40, logit_bias: { [END]: -100 } };
      const answers = await Promise.allSettled(Array.from({ length: 5 }, () => small.client.completions.create(body)));
      const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
      expect(refused.length).toBeGreaterThanOrEqual(1);
      expect(refused.length).toBeLessThanOrEqual(4);
      for (const error of refused) {
        expect(error).toBeInstanceOf(OpenAI.RateLimitError);
        expect((error as { headers: Headers }).headers.get('retry-after')).toBe('1');
      }
    } finally {
      await small.stop('SIGKILL');
    }
  });

  it('finishes a running answer at Ctrl-C, takes no other, and frees its port', async () => {
    const own = await startServe([`slow=${slow.directory}`, ...BACKEND]);
    const body = { model: 'slow', prompt: 'The', max_tokens: 30, logit_bias: { [END]: -100 } };
    const stream = await own.client.completions.create({ ...body, stream: true });
    let pieces = 0;
    let reason: string | null = null;
    for await (const chunk of stream) {
      if (pieces++ === 0) own.child.kill('SIGINT');
      reason = chunk.choices[0].finish_reason ?? reason;
    }
    expect(reason).toBe('length');
    expect(await own.closed).toBe(0);
    await expect(fetch(`${own.url}/health`)).rejects.toThrow();
  });

  it('starts again where it was killed, and ends at once at the second Ctrl-C', async () => {
    const args = [`slow=${slow.directory}`, ...BACKEND];
    const first = await startServe(args);
    const port = Number(new URL(first.url).port);
    const body = { model: 'slow', prompt: 'The', max_tokens: 1900, logit_bias: { [END]: -100 } };
    const broken = first.client.completions.create(body);
    broken.catch(() => {});
    await first.stop('SIGKILL');
    await expect(broken).rejects.toBeInstanceOf(OpenAI.APIConnectionError);
    const second = await startServe(args, { port });
    const stream = await second.client.completions.create({ ...body, stream: true });
    const reading = (async () => {
      for await (const _ of stream) second.child.kill('SIGINT');
    })();
    await expect(reading).rejects.toThrow();
    expect(await second.closed).toBe(130);
  });

  it('asks for a key, and for one before it listens to other machines', async () => {
    const open = await runCommand(['serve', tiny.directory, '--host', '0.0.0.0', ...BACKEND]);
    expect(open.code).toBe(2);
    expect(open.stderr).toMatch(
      /^error: \[serve\] --host 0\.0\.0\.0 opens the server to other machines: expected a key/,
    );
    const locked = await startServe([`tiny=${tiny.directory}`, ...BACKEND], {
      apiKey: 'secret',
      env: { QSPARSE_API_KEY: 'secret' },
    });
    try {
      expect((await locked.client.models.list()).data).toHaveLength(1);
      const stranger = new OpenAI({ baseURL: `${locked.url}/v1`, apiKey: 'wrong', maxRetries: 0 });
      await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
      expect((await fetch(`${locked.url}/metrics`)).status).toBe(401);
      expect((await fetch(`${locked.url}/health`)).status).toBe(200);
    } finally {
      await locked.stop('SIGKILL');
    }
  });

  it.skipIf(!existsSync('/dev/full'))('goes on where the disk behind its log is full', async () => {
    const full = openSync('/dev/full', 'w');
    const models = [`tiny=${tiny.directory}`, join(folder, 'broken.gguf')];
    const own = await startServe([...models, ...BACKEND], { stderr: full });
    try {
      for (let i = 0; i < 3; i++) {
        const refused = own.client.completions.create({ model: 'broken', prompt: 'a' });
        await expect(refused).rejects.toMatchObject({ status: 503 });
        expect((await own.client.completions.create({ ...greedy, prompt: 'The' })).choices).toHaveLength(1);
      }
      expect(await own.stop()).toBe(0);
    } finally {
      await own.stop('SIGKILL');
      closeSync(full);
    }
  });

  it('says in one line why it cannot serve', async () => {
    const none = await runCommand(['serve', join(folder, 'broken.gguf'), ...BACKEND]);
    expect(none.code).toBe(2);
    expect(none.stderr).toMatch(/\nerror: \[serve\] none of the models can be loaded: the lines above say why\.\n$/);
    const taken = await runCommand(['serve', tiny.directory, '--port', new URL(server.url).port, ...BACKEND]);
    expect(taken.code).toBe(2);
    expect(taken.stderr).toMatch(/error: \[serve\] cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
  });
});
