/**
 * The models of `qsparse serve`: listed, and each as a TextModel over the server's streaming endpoints, with its extensions (`sparsity`, and
 * `qsparse.details` for what each token took and kept).
 *
 * What comes from the server is not trusted to be complete: a field that is missing is null on the page, never an error.
 */

import type {
  TextModel,
  TextModelInfo,
  TextOptions,
  TextPiece,
  TextPrompt,
  TextSummary,
} from '../../src/load/text-model.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { serverSentEvents } from './server-sent-events.ts';

/** An entry of GET /api/models. */
export interface ServedModel {
  readonly id: string;
  readonly config: ModelConfig;
  readonly parameters: number;
  readonly dtype: string;
  readonly contextTokens: number;
  readonly loaded: boolean;
  /** Whether it has a chat template; a server that does not say so may have one. */
  readonly chat?: boolean;
}

export type Key = () => string;

/** null where no server answers: this is a static site. Throws an Error in words for a server that refuses. */
export async function servedModels(key: Key): Promise<ServedModel[] | null> {
  let response: Response;
  try {
    response = await fetch('./api/models', { headers: headersOf(key) });
  } catch {
    return null;
  }
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  if (response.status === 404 || !isJson) return null;
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(messageOfError(body, response.status));
  return Array.isArray(body) ? (body as ServedModel[]) : null;
}

/** Asks the server to load or unload a model. */
export async function changeModel(action: 'load' | 'unload', id: string, key: Key): Promise<void> {
  const response = await fetch(`./api/models/${action}`, {
    method: 'POST',
    headers: { ...headersOf(key), 'Content-Type': 'application/json' },
    body: JSON.stringify({ id }),
  });
  if (!response.ok) throw new Error(messageOfError(await response.json().catch(() => null), response.status));
}

export function httpModel(served: ServedModel, key: Key): TextModel {
  const { id, config, parameters, dtype, contextTokens } = served;
  const info: TextModelInfo = {
    ...{ name: id, config, parameters, dtype, contextTokens },
    bytes: 0,
    hasChatTemplate: served.chat ?? false,
    backend: 'on the server',
    threads: 0,
  };
  return { info, generate: (prompt, options = {}) => generate(id, prompt, options, key), dispose: async () => {} };
}

/** A chunk of the stream, as far as the page reads it. */
interface Chunk {
  choices?: { delta?: { content?: string | null }; text?: string; finish_reason?: string | null }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
  error?: { message?: string };
  qsparse?: Partial<TokenDetails> & Partial<EndDetails>;
}

interface TokenDetails {
  id: number;
  ms: number;
  kept: number[] | null;
}

interface EndDetails {
  promptMs: number;
  generateMs: number;
  tokensPerSecond: number | null;
  sparsity: number | null;
  activatedParameters: number | null;
  parts: { selection: number; products: number; attention: number; head: number; other: number };
}

/** What is known of a text once its stream has ended. */
interface Seen {
  tokens: number;
  promptTokens: number;
  finish: string | null;
  end: Partial<EndDetails>;
}

async function* generate(
  model: string,
  prompt: TextPrompt,
  options: TextOptions,
  key: Key,
): AsyncGenerator<TextPiece, TextSummary> {
  const { signal } = options;
  const seen: Seen = { tokens: 0, promptTokens: 0, finish: null, end: {} };
  try {
    const response = await fetch(typeof prompt === 'string' ? './v1/completions' : './v1/chat/completions', {
      method: 'POST',
      headers: { ...headersOf(key), 'Content-Type': 'application/json' },
      body: JSON.stringify(requestOf(model, prompt, options)),
      ...(signal && { signal }),
    });
    if (!response.ok || response.body === null) {
      throw new Error(messageOfError(await response.json().catch(() => null), response.status));
    }
    for await (const data of serverSentEvents(response.body)) {
      if (data === '[DONE]') break;
      const piece = readChunk(JSON.parse(data) as Chunk, seen);
      if (piece !== null) yield piece;
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
    seen.finish = 'aborted';
  }
  return summaryOf(seen);
}

function requestOf(model: string, prompt: TextPrompt, options: TextOptions): object {
  const { maxTokens, temperature, topP, seed, stop, sparsity } = options;
  return {
    model,
    ...(typeof prompt === 'string' ? { prompt } : { messages: prompt }),
    ...{ stream: true, stream_options: { include_usage: true }, qsparse: { details: true } },
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { top_p: topP }),
    ...(seed !== undefined && { seed }),
    ...(stop !== undefined && { stop }),
    ...(sparsity !== undefined && { sparsity }),
  };
}

/** The token of a chunk; null where it brings none. */
function readChunk({ choices, usage, error, qsparse }: Chunk, seen: Seen): TextPiece | null {
  if (error !== undefined) throw new Error(error.message ?? 'The server ended the answer without saying why.');
  const choice = choices?.[0];
  seen.finish = choice?.finish_reason ?? seen.finish;
  seen.promptTokens = usage?.prompt_tokens ?? seen.promptTokens;
  if (qsparse?.generateMs !== undefined) seen.end = qsparse;
  const text = choice?.delta?.content ?? choice?.text ?? '';
  if (qsparse?.id === undefined && text === '') return null;
  const id = qsparse?.id ?? null;
  if (id !== null) seen.tokens++;
  return { id, text, ms: qsparse?.ms ?? 0, kept: qsparse?.kept ?? null };
}

function summaryOf({ tokens, promptTokens, finish, end }: Seen): TextSummary {
  const { promptMs = 0, generateMs = 0, tokensPerSecond = null, sparsity = null, activatedParameters = null } = end;
  const nothing = { selection: 0, products: 0, attention: 0, head: 0, other: 0 };
  const reasons = { stop: 'stop', length: 'length', aborted: 'aborted' } as const;
  return {
    finishReason: reasons[finish as keyof typeof reasons] ?? 'aborted',
    ...{ promptTokens, tokens, promptMs, generateMs, tokensPerSecond, sparsity, activatedParameters },
    partsMs: end.parts ?? nothing,
  };
}

function headersOf(key: Key): Record<string, string> {
  return key() === '' ? {} : { Authorization: `Bearer ${key()}` };
}

/** In the server's own words where it gives some. */
function messageOfError(body: unknown, status: number): string {
  const message = (body as { error?: { message?: unknown } } | null)?.error?.message;
  if (typeof message === 'string' && message !== '') return message;
  return `The server answered with status ${status}.`;
}
