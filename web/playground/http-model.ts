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
import type { ChoiceSummary, ListedModel, TokenDetails } from '../../src/server/page-answers.ts';
import { messageOfAnswer, serverHeaders, serverList } from '../shared/server.ts';
import { serverSentEvents } from './server-sent-events.ts';

/** null where no server answers. Throws an Error in words for a server that refuses. */
export async function servedModels(): Promise<ListedModel[] | null> {
  return await serverList<ListedModel>('./api/models');
}

/** Asks the server to load or unload a model. Throws an Error in its words. */
export async function changeModel(action: 'load' | 'unload', id: string): Promise<void> {
  const response = await fetch(`./api/models/${action}`, {
    method: 'POST',
    headers: { ...serverHeaders(), 'Content-Type': 'application/json' },
    body: JSON.stringify({ id }),
  });
  if (!response.ok) throw new Error(messageOfAnswer(await response.json().catch(() => null), response.status));
}

/** null for a model of which the server does not know what it is. */
export function httpModel(served: ListedModel): TextModel | null {
  const { id, config, parameters, dtype, contextTokens } = served;
  if (config === null) return null;
  const info: TextModelInfo = {
    ...{
      name: id,
      config,
      parameters: parameters ?? 0,
      dtype: dtype ?? '',
      contextTokens: contextTokens ?? config.seqLen,
    },
    bytes: served.bytes ?? 0,
    hasChatTemplate: served.chat ?? false,
    backend: 'on the server',
    threads: 0,
  };
  return { info, generate: (prompt, options = {}) => generate(id, prompt, options), dispose: async () => {} };
}

/** A chunk of the stream, as far as the page reads it. */
interface Chunk {
  choices?: { delta?: { content?: string | null }; text?: string; finish_reason?: string | null }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
  error?: { message?: string };
  qsparse?: Partial<TokenDetails> & Partial<ChoiceSummary>;
}

/** What is known of a text once its stream has ended. */
interface Seen {
  tokens: number;
  promptTokens: number;
  finish: string | null;
  end: Partial<ChoiceSummary>;
}

async function* generate(
  model: string,
  prompt: TextPrompt,
  options: TextOptions,
): AsyncGenerator<TextPiece, TextSummary> {
  const { signal } = options;
  const seen: Seen = { tokens: 0, promptTokens: 0, finish: null, end: {} };
  try {
    const response = await fetch(typeof prompt === 'string' ? './v1/completions' : './v1/chat/completions', {
      method: 'POST',
      headers: { ...serverHeaders(), 'Content-Type': 'application/json' },
      body: JSON.stringify(requestOf(model, prompt, options)),
      ...(signal && { signal }),
    });
    if (!response.ok || response.body === null) {
      throw new Error(messageOfAnswer(await response.json().catch(() => null), response.status));
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
