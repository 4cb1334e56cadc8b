/**
 * The server without a model: its app over fake token models with a real tokenizer, so that requests and answers are tested fast and every answer is
 * known: it is what the plainest loop over the fake gives.
 */

import type { ChatForm } from '../../src/chat/chat-form.ts';
import { ChatTemplate } from '../../src/chat/chat-template.ts';
import { PLAIN_TEMPLATE } from '../../src/chat/plain-template.ts';
import { Scheduler, type SchedulerOptions } from '../../src/infer/scheduler.ts';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import { createApp, type ServerApp } from '../../src/server/create-app.ts';
import { ModelRegistry, type RegistryOptions } from '../../src/server/model-registry.ts';
import type { ModelSource, ServedModel } from '../../src/server/served-model.ts';
import type { ServerOptions } from '../../src/server/server-context.ts';
import { ServerMetrics } from '../../src/server/server-metrics.ts';
import { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { trainBpe } from '../../src/tokenizer/train-bpe.ts';
import { type FakeOptions, FakeTokenModel } from './fake-token-model.ts';

const TEXT = 'The quick brown fox jumps over the lazy dog. The dog sleeps; the fox runs. '.repeat(8);

export const VOCAB_SIZE = 290;
export const tokenizer = Tokenizer.fromJson(trainBpe([TEXT], { vocabSize: VOCAB_SIZE }));

const NO_TOKENS = { bos_token: null, eos_token: null };

/** The plain play, without its stop strings, which random text would rarely meet. */
export const chatForm: ChatForm = {
  template: new ChatTemplate(PLAIN_TEMPLATE, NO_TOKENS, 'fake'),
  stop: [],
  writesBos: false,
};

export interface FakeServedOptions {
  fake?: FakeOptions;
  scheduler?: SchedulerOptions;
  chatForm?: ChatForm | null;
  bytes?: number;
  /** Instead of opening. */
  open?: () => ServedModel;
}

export interface FakeSource extends ModelSource {
  /** Of every time that it was opened. */
  readonly models: FakeTokenModel[];
}

export function fakeSource(id: string, options: FakeServedOptions = {}): FakeSource {
  const models: FakeTokenModel[] = [];
  const fake = { vocabSize: VOCAB_SIZE, maxTokens: 64, maxSequences: 4, maxBatchTokens: 16, ...options.fake };
  const bytes = options.bytes ?? 1000;
  const config = resolveConfig({ dim: 32, hiddenDim: 64, nLayers: 2, nHeads: 2, vocabSize: VOCAB_SIZE, seqLen: 64 });
  const open = () => {
    const model = new FakeTokenModel(fake);
    models.push(model);
    const scheduler = new Scheduler(model, options.scheduler);
    return {
      config,
      vocabSize: model.vocabSize,
      contextTokens: model.maxTokens,
      tokenizer,
      chatForm: options.chatForm === undefined ? chatForm : options.chatForm,
      scheduler,
      defaultSparsity: undefined,
      partTimes: undefined,
      bytes,
      dispose: () => scheduler.dispose(),
    };
  };
  return {
    id,
    models,
    describe: () => ({ config, parameters: 12345, dtype: 'f32', contextTokens: fake.maxTokens, chat: true, bytes }),
    open: options.open ?? open,
  };
}

export interface FakeServer {
  readonly app: ServerApp;
  readonly registry: ModelRegistry;
  readonly log: string[];
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

export function fakeServer(
  sources: readonly ModelSource[] = [fakeSource('fake')],
  options: Partial<ServerOptions> & RegistryOptions = {},
): FakeServer {
  const log: string[] = [];
  const registry = new ModelRegistry(sources, { onEvent: (line) => log.push(line), ...options });
  const app = createApp({
    registry,
    apiKeys: [],
    corsOrigins: [],
    hosts: null,
    pages: new Map(),
    runs: null,
    metrics: new ServerMetrics(registry, { process: false }),
    nextSeed: () => 12345,
    timeoutMs: 30_000,
    log: (line) => log.push(line),
    isStopping: () => false,
    ...options,
  });
  const post = async (path: string, body: unknown, init: RequestInit = {}) =>
    app.request(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...init.headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(init.signal && { signal: init.signal }),
    });
  return { app, registry, log, post };
}

/** The data of each event of a stream. */
export async function eventsOf(response: Response): Promise<string[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      if (!block.startsWith('data: ')) throw new Error(`no event: ${block}`);
      return block.slice('data: '.length);
    });
}
