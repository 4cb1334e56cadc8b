/**
 * What `qsparse serve` answers to its pages, without a model: two models of which one is loaded, texts made of the prompt's length, runs from given
 * metrics. For tests of the pages; the server itself has its own.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { resolveConfig } from '../../src/model/resolve-config.ts';

const CONFIG = resolveConfig({ dim: 64, nLayers: 4, nHeads: 4, vocabSize: 512, seqLen: 256, sparsity: 0.6 });
const WORDS = [' the', ' fox', ' ran', ' over', ' a', ' hill', ' and', ' slept', '.'];

export interface FakeRunFile {
  readonly name: string;
  /** Of metrics.jsonl; may grow. */
  text: string;
  isLive: boolean;
}

export interface FakeServer {
  /** Bodies of the requests for texts. */
  readonly requests: Record<string, unknown>[];
  /** What the next request for a text is answered with instead. */
  refusal: { status: number; message: string } | null;
  /** Between two tokens. */
  tokenMs: number;
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

export function fakeQsparseServer(runs: readonly FakeRunFile[] = []): FakeServer {
  const loaded = new Set(['tiny']);
  const server: FakeServer = {
    requests: [],
    refusal: null,
    tokenMs: 1,
    handle(request, response) {
      const url = new URL(request.url ?? '/', 'http://localhost');
      const json = (body: unknown, status = 200) =>
        response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
      const metrics = /^\/api\/runs\/(\d+)\/metrics$/.exec(url.pathname);
      if (url.pathname === '/api/models') json(['tiny', 'other'].map((id) => described(id, loaded.has(id))));
      else if (url.pathname === '/api/runs') json(runs.map(listed));
      else if (metrics !== null) {
        const bytes = Buffer.from(runs[Number(metrics[1])].text).subarray(Number(url.searchParams.get('from')));
        response.writeHead(200, { 'Content-Type': 'application/jsonl' }).end(bytes);
      } else if (url.pathname.startsWith('/api/models/')) {
        void bodyOf(request).then(({ id }) => {
          if (url.pathname.endsWith('unload')) loaded.delete(String(id));
          else loaded.add(String(id));
          json({ id });
        });
      } else if (url.pathname.startsWith('/v1/')) {
        void bodyOf(request).then((body) => {
          server.requests.push(body);
          const { refusal } = server;
          server.refusal = null;
          if (refusal !== null) json({ error: { message: refusal.message } }, refusal.status);
          else void answer(response, body, url.pathname.includes('chat'), server.tokenMs);
        });
      } else return false;
      return true;
    },
  };
  return server;
}

function described(id: string, loaded: boolean): object {
  return { id, config: CONFIG, parameters: 1_234_567, dtype: 'int8', contextTokens: 256, loaded, chat: id === 'other' };
}

function listed({ name, isLive, text }: FakeRunFile, id: number): object {
  const step = text.split('\n').length;
  return { id: String(id), name, startedAt: '2024-05-06T07:08:09.123Z', isLive, step, maxSteps: 100 };
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
}

/** Sparse texts differ from dense ones in every fourth word, and take half the time. */
async function answer(
  response: ServerResponse,
  body: Record<string, unknown>,
  isChat: boolean,
  tokenMs: number,
): Promise<void> {
  const isDense = JSON.stringify(body.sparsity) === '{"qkv":0,"o":0,"gateUp":0,"down":0}';
  const tokens = Math.min(Number(body.max_tokens ?? 16), 40);
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const send = (chunk: object) => response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  const choice = (text: string, finish_reason: string | null = null) =>
    isChat ? { index: 0, delta: { content: text }, finish_reason } : { index: 0, text, finish_reason };
  for (let i = 0; i < tokens && !response.destroyed; i++) {
    const id = (i * 7 + (!isDense && i % 4 === 3 ? 1 : 0)) % WORDS.length;
    const kept = Array.from({ length: CONFIG.nLayers }, (_, layer) =>
      isDense ? 1 : 0.3 + 0.1 * layer + 0.05 * (i % 3),
    );
    const ms = isDense ? 20 : 10;
    send({ choices: [choice(WORDS[id])], qsparse: { id, ms: i === 0 ? 30 : ms, kept: i === 0 ? null : kept } });
    await new Promise((resolve) => setTimeout(resolve, tokenMs));
  }
  const perToken = isDense ? 20 : 10;
  const generateMs = perToken * (tokens - 1);
  const share = (part: number) => part * generateMs;
  send({
    choices: [choice('', 'length')],
    qsparse: {
      ...{ promptMs: 30, generateMs, tokensPerSecond: 1000 / perToken, sparsity: isDense ? 0 : 0.55 },
      activatedParameters: isDense ? 1_000_000 : 450_000,
      parts: isDense
        ? { selection: 0, products: share(0.7), attention: share(0.1), head: share(0.1), other: share(0.1) }
        : { selection: share(0.1), products: share(0.5), attention: share(0.2), head: share(0.15), other: share(0.05) },
    },
  });
  send({ choices: [], usage: { prompt_tokens: 5, completion_tokens: tokens } });
  response.end('data: [DONE]\n\n');
}
