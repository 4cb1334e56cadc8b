import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsOf, fakeServer, fakeSource } from '../../test/support/fake-server.ts';
import { readPages } from './pages.ts';
import { RunListing } from './run-listing.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'qsparse-pages-'));
  mkdirSync(join(folder, 'web/assets'), { recursive: true });
  writeFileSync(join(folder, 'web/index.html'), '<!doctype html>');
  writeFileSync(join(folder, 'web/assets/engine.wasm'), Uint8Array.of(0, 97));
  writeFileSync(join(folder, 'secret.txt'), 'secret');
});
afterAll(() => rmSync(folder, { recursive: true }));

interface ErrorBody {
  error: { code: string; type: string };
}
const codeOf = async (response: Response) => ((await response.json()) as ErrorBody).error.code;

describe('guards', () => {
  it('ask for a key everywhere but at /health and the pages', async () => {
    const { app } = fakeServer([fakeSource('fake')], { apiKeys: ['one', 'two'] });
    for (const path of ['/v1/models', '/metrics', '/api/models', '/api/runs']) {
      expect([path, (await app.request(path)).status]).toEqual([path, 401]);
      for (const [key, status] of [
        ['two', 200],
        ['three', 401],
        ['', 401],
      ] as const) {
        const answer = await app.request(path, { headers: { authorization: `Bearer ${key}` } });
        expect([path, key, answer.status]).toEqual([path, key, status]);
      }
    }
    const post = await app.request('/v1/completions', { method: 'POST', body: '{}' });
    expect([post.status, post.headers.get('www-authenticate'), await codeOf(post)]).toEqual([
      401,
      'Bearer',
      'invalid_api_key',
    ]);
    expect((await app.request('/health')).status).toBe(200);
    expect((await app.request('/')).status).toBe(200);
  });

  it('know this machine by its own names only', async () => {
    const { app } = fakeServer([fakeSource('fake')], { hosts: ['localhost', '127.0.0.1', '[::1]'] });
    const statusOf = async (host: string) => (await app.request('/health', { headers: { host } })).status;
    for (const host of ['localhost:8080', '127.0.0.1', 'LOCALHOST', '[::1]:99']) expect(await statusOf(host)).toBe(200);
    for (const host of ['evil.example', 'localhost.evil.example:8080', '']) expect(await statusOf(host)).toBe(403);
  });

  it('let pages of other origins in where they are named', async () => {
    const origin = { headers: { origin: 'https://a.example' } };
    const closed = await fakeServer().app.request('/v1/models', origin);
    expect(closed.headers.get('access-control-allow-origin')).toBeNull();
    const { app } = fakeServer([fakeSource('fake')], { corsOrigins: ['https://a.example'], apiKeys: ['k'] });
    const asked = await app.request('/v1/completions', { method: 'OPTIONS', ...origin });
    expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, 'https://a.example']);
    // What OpenAI's client sends from a page.
    const sent = 'authorization,content-type,x-stainless-lang,x-stainless-retry-count';
    const headers = { ...origin.headers, 'access-control-request-headers': sent };
    const preflight = await app.request('/v1/completions', { method: 'OPTIONS', headers });
    expect(preflight.headers.get('access-control-allow-headers')).toBe(sent);
    const read = await app.request('/v1/models', origin);
    expect(read.headers.get('access-control-expose-headers')).toBe('retry-after,x-next-byte');
    const other = await app.request('/v1/models', { headers: { origin: 'https://b.example' } });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('take nothing while the server stops', async () => {
    const { app, post } = fakeServer([fakeSource('fake')], { isStopping: () => true });
    const refused = await post('/v1/completions', { prompt: 'a' });
    expect([refused.status, refused.headers.get('retry-after'), await codeOf(refused)]).toEqual([503, '5', 'stopping']);
    expect((await app.request('/health')).status).toBe(503);
  });
});

describe('pages', () => {
  it('are the files of the folder, isolated, and nothing else', async () => {
    const { app } = fakeServer([fakeSource('fake')], { pages: readPages(join(folder, 'web')) });
    const page = await app.request('/');
    expect(await page.text()).toBe('<!doctype html>');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(page.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
    const wasm = await app.request('/assets/engine.wasm');
    expect([wasm.headers.get('content-type'), await wasm.text()]).toEqual(['application/wasm', '\0a']);
    const etag = page.headers.get('etag') ?? '';
    expect((await app.request('/', { headers: { 'if-none-match': etag } })).status).toBe(304);
    for (const path of [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/assets/../../secret.txt',
      '/assets',
      '//secret.txt',
    ]) {
      expect([path, (await app.request(path)).status]).toEqual([path, 404]);
    }
  });

  it('say how they are built where they are not', async () => {
    const { app } = fakeServer([fakeSource('fake')], { pages: readPages(join(folder, 'none')) });
    expect(await (await app.request('/')).text()).toMatch(/npm run build/);
    expect((await app.request('/dashboard.html')).status).toBe(404);
  });
});

describe('runs', () => {
  it('are known by ids of the list alone', async () => {
    const run = join(folder, 'runs/deep/er');
    mkdirSync(run, { recursive: true });
    writeFileSync(
      join(run, 'metrics.jsonl'),
      '{"type":"run","startedAt":"x","train":{"steps":3}}\n{"type":"step","step":2}\n',
    );
    const { app } = fakeServer([fakeSource('fake')], { runs: new RunListing(join(folder, 'runs')) });
    const list = (await (await app.request('/api/runs')).json()) as { id: string }[];
    expect(list).toEqual([{ id: list[0].id, name: 'deep/er', startedAt: 'x', isLive: true, step: 2, maxSteps: 3 }]);
    const text = await (await app.request(`/api/runs/${list[0].id}/metrics?from=0`)).text();
    expect(text.split('\n')).toHaveLength(3);
    for (const id of ['deep', '..', encodeURIComponent(run), 'constructor']) {
      expect((await app.request(`/api/runs/${id}/metrics`)).status).toBe(404);
    }
    expect((await app.request(`/api/runs/${list[0].id}/metrics?from=-1`)).status).toBe(400);
  });
});

/** Greedy text that never ends. */
const ENDLESS = Float32Array.from({ length: 290 }, (_, id) => (id === 65 ? 1 : 0));

describe('answers that end early', () => {
  it('give the place back when the client leaves, streamed or not', async () => {
    for (const stream of [false, true]) {
      const source = fakeSource('fake', { fake: { maxTokens: 5000, logitsOf: () => ENDLESS } });
      const server = fakeServer([source]);
      const controller = new AbortController();
      const body = { prompt: 'The', max_tokens: 4000, stream, temperature: 0, n: 3 };
      const asked = server.post('/v1/completions', body, { signal: controller.signal });
      if (stream) {
        const reader = (await asked).body!.getReader();
        await reader.read();
        await reader.cancel();
      } else {
        setTimeout(() => controller.abort(), 20);
        await asked.catch(() => {});
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      const { counts } = server.registry.loaded()[0].model.scheduler;
      expect([counts.queued, counts.running]).toEqual([0, 0]);
      expect(server.registry.list()[0].users).toBe(0);
      server.registry.dispose();
    }
  });

  it('say so when their time is over', async () => {
    const source = fakeSource('fake', { fake: { maxTokens: 100_000, logitsOf: () => ENDLESS } });
    const server = fakeServer([source], { timeoutMs: 30 });
    const whole = await server.post('/v1/completions', { prompt: 'The', max_tokens: 90_000, temperature: 0 });
    expect([whole.status, await codeOf(whole)]).toEqual([408, 'timeout']);
    const events = await eventsOf(
      await server.post('/v1/completions', { prompt: 'The', max_tokens: 90_000, temperature: 0, stream: true }),
    );
    expect(JSON.parse(events.at(-1)!)).toMatchObject({ error: { type: 'timeout_error', code: 'timeout' } });
    server.registry.dispose();
  });

  it('are refused whole where the queue has no room for all choices', async () => {
    const source = fakeSource('fake', { fake: { maxSequences: 1 }, scheduler: { maxQueued: 1 } });
    const server = fakeServer([source]);
    const refused = await server.post('/v1/completions', { prompt: 'The', n: 3 });
    expect([refused.status, refused.headers.get('retry-after'), await codeOf(refused)]).toEqual([
      429,
      '1',
      'queue_full',
    ]);
    expect(server.registry.loaded()[0].model.scheduler.counts.queued).toBe(0);
    expect((await server.post('/v1/completions', { prompt: 'The', n: 2 })).status).toBe(200);
    server.registry.dispose();
  });

  it('that ask for tokens of messages leave what stands around them to the template', async () => {
    const server = fakeServer();
    const messages = [{ role: 'user', content: 'The fox?' }];
    const ask = (fields: object) => server.post('/tokenize', { messages, ...fields });
    expect((await ask({ add_special_tokens: false })).status).toBe(200);
    expect((await ask({ add_special_tokens: true })).status).toBe(400);
    expect((await server.post('/tokenize', { prompt: 'The fox', add_special_tokens: true })).status).toBe(200);
    server.registry.dispose();
  });

  it('tell the log what broke, and the client that something did', async () => {
    const source = fakeSource('fake');
    const server = fakeServer([source]);
    server.registry.load('fake');
    source.models[0].beforeRun = () => {
      throw new Error('at /secret/place');
    };
    const whole = await server.post('/v1/completions', { prompt: 'The' });
    expect(whole.status).toBe(500);
    expect(await whole.text()).not.toMatch(/secret/);
    const events = await eventsOf(await server.post('/v1/completions', { prompt: 'The', stream: true }));
    expect(JSON.parse(events[0])).toMatchObject({ error: { type: 'server_error', code: 'internal_error' } });
    expect(server.log.filter((line) => line.includes('/secret/place'))).toHaveLength(2);
    source.models[0].beforeRun = () => {};
    expect((await server.post('/v1/completions', { prompt: 'The' })).status).toBe(200);
    server.registry.dispose();
  });
});

describe('/metrics', () => {
  it('counts requests by route, tokens, and what ended answers', async () => {
    const server = fakeServer();
    await server.post('/v1/completions', { prompt: 'The fox', max_tokens: 5 });
    await server.post('/v1/completions', { prompt: 'The fox', max_tokens: 5 });
    await server.post('/v1/completions', { prompt: '', top_p: 3 });
    await server.app.request('/v1/models/none');
    await server.app.request('/no/such/path');
    const text = await (await server.app.request('/metrics')).text();
    for (const line of [
      'qsparse_requests_total{route="/v1/completions",status="200"} 2',
      'qsparse_requests_total{route="/v1/completions",status="400"} 1',
      'qsparse_generated_tokens_total{model="fake"} 10',
      'qsparse_answers_total{model="fake",cause="done"} 2',
      'qsparse_running{model="fake"} 0',
      'qsparse_kept_sequences{model="fake"} 1',
      'qsparse_model_bytes{model="fake"} 1000',
      'qsparse_first_token_seconds_count{model="fake"} 2',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).not.toContain('no/such');
    server.registry.dispose();
  });
});
