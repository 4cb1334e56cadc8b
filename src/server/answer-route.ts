/**
 * answerRequest: what both APIs do with a request that is read: take the model, begin the answer, and send it as one object or as a stream.
 *
 * Until the first byte is sent an error is an HTTP status; later it is the last event of the stream. The lease of the model ends with the answer,
 * also where the client leaves in the middle.
 */

import { messageOf } from '../util/errors.ts';
import { Answer, type TextRequest } from './answer.ts';
import type { AnswerFormat } from './answer-format.ts';
import { toApiError } from './api-error.ts';
import { eventStream } from './event-stream.ts';
import { RequestLifetime } from './request-lifetime.ts';
import type { SamplingFields } from './sampling-fields.ts';
import type { ServedModel } from './served-model.ts';
import type { ServerOptions, ServerRequest } from './server-context.ts';

/** What an API makes of its request once the model is known. */
export interface PreparedAnswer {
  readonly text: TextRequest;
  readonly format: (answer: Answer) => AnswerFormat;
}

export async function answerRequest(
  c: ServerRequest,
  server: ServerOptions,
  request: SamplingFields,
  prepare: (model: ServedModel) => PreparedAnswer,
): Promise<Response> {
  const lease = server.registry.acquire(request.model ?? undefined);
  const lifetime = new RequestLifetime(c.req.raw.signal, server.timeoutMs);
  let prepared: PreparedAnswer;
  try {
    prepared = prepare(lease.model);
  } catch (error) {
    lifetime.dispose();
    lease.release();
    throw error;
  }
  const answer = new Answer(prepared.text, lease, lifetime, (ended) => server.metrics.observeAnswer(ended));
  const format = prepared.format(answer);
  if (request.stream) return streamed(c, server, answer, format, request.stream_options?.include_usage ?? false);
  try {
    return c.json(format.whole(await answer.whole()));
  } finally {
    answer.close();
  }
}

function streamed(
  c: ServerRequest,
  server: ServerOptions,
  answer: Answer,
  format: AnswerFormat,
  withUsage: boolean,
): Response {
  const report = (error: unknown) => server.log(`in an answer of ${answer.lease.id}: ${messageOf(error)}`);
  const body = eventStream(chunksOf(answer, format, withUsage, report), {
    onLeave(cause) {
      answer.lifetime.end(cause);
      if (cause === 'stalled') c.env?.outgoing?.destroy();
    },
    onClose: () => answer.close(),
  });
  const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };
  return c.body(body, 200, { ...headers, 'x-accel-buffering': 'no' });
}

/** The data of the events: chunks, and `[DONE]`; where something fails, the error in their place. */
async function* chunksOf(
  answer: Answer,
  format: AnswerFormat,
  withUsage: boolean,
  report: (error: unknown) => void,
): AsyncGenerator<string, void> {
  const begun = new Set<number>();
  try {
    for await (const event of answer.events()) {
      const { choice } = event;
      if (!begun.has(choice)) for (const chunk of format.begin(choice)) yield JSON.stringify(chunk);
      begun.add(choice);
      const chunk = 'chunk' in event ? format.piece(choice, event.chunk) : format.end(choice, event.finishReason);
      if (chunk !== null) yield JSON.stringify(chunk);
    }
    if (withUsage) yield JSON.stringify(format.usage());
    yield '[DONE]';
  } catch (error) {
    yield JSON.stringify(toApiError(error, report).body);
  }
}
