/** /v1/completions: texts or token ids, continued as they are. */

import { z } from 'zod';
import { answerRequest, type PreparedAnswer } from './answer-route.ts';
import { ApiError } from './api-error.ts';
import { CompletionFormat, type EchoedPrompt } from './completion-format.ts';
import { constraintOf } from './constraint.ts';
import { MOST_CHOICES, MOST_LOGPROBS } from './limits.ts';
import { checkLength, checkPrompt } from './prompt-text.ts';
import { isIdList, readRequest, unsupported } from './read-request.ts';
import { extrasOf, flag, SAMPLING_FIELDS, samplersOf, sparsityOf, stopsOf, whole } from './sampling-fields.ts';
import type { ServedModel } from './served-model.ts';
import { clientOf, type ServerOptions, type ServerRequest } from './server-context.ts';

/** As in OpenAI's API. */
const DEFAULT_MAX_TOKENS = 16;

type Prompt = string | number[];

const isPrompt = (value: unknown): value is Prompt =>
  typeof value === 'string' || (isIdList(value) && value.length > 0);

const isListOfPrompts = (value: unknown): value is Prompt[] =>
  Array.isArray(value) && value.length >= 1 && value.length <= MOST_CHOICES && value.every(isPrompt);

const prompt = z.custom<Prompt | Prompt[]>((value) => isPrompt(value) || isListOfPrompts(value), {
  error: `expected a text, a list of token ids, or at most ${MOST_CHOICES} of either`,
});

const completionRequest = z.strictObject({
  ...SAMPLING_FIELDS,
  prompt,
  echo: flag,
  logprobs: whole(0, MOST_LOGPROBS),
  best_of: unsupported('choosing the best of several', (value) => value === 1),
  suffix: unsupported('text behind the completion', (value) => value === ''),
});

type CompletionRequest = z.infer<typeof completionRequest>;

export async function completions(c: ServerRequest, server: ServerOptions): Promise<Response> {
  const request = await readRequest(c.req.raw, completionRequest);
  return answerRequest(c, server, request, (model) => prepare(request, model, clientOf(c), server.nextSeed));
}

function prepare(
  request: CompletionRequest,
  model: ServedModel,
  client: string,
  nextSeed: () => number,
): PreparedAnswer {
  const prompts = promptsOf(request.prompt, model);
  const n = request.n ?? 1;
  if (prompts.length * n > MOST_CHOICES) {
    const message = `n: expected at most ${MOST_CHOICES} texts (prompts times n), got ${prompts.length * n}.`;
    throw new ApiError(400, message, { param: 'n' });
  }
  const sparsity = sparsityOf(request, model);
  const logprobs = request.logprobs ?? undefined;
  const echo = request.echo ?? false;
  return {
    text: {
      promptIds: prompts.map((one) => one.ids),
      n,
      samplerOf: samplersOf(request, {
        vocabSize: model.vocabSize,
        allowed: constraintOf(request.response_format, model),
        nextSeed,
      }),
      stop: stopsOf(request),
      continues: true,
      options: {
        client,
        maxTokens: request.max_tokens ?? DEFAULT_MAX_TOKENS,
        ...(logprobs !== undefined && { logprobs }),
        ...(logprobs !== undefined && echo && { promptLogprobs: logprobs }),
        ...(request.qsparse?.details && { details: true }),
        ...(sparsity !== undefined && { sparsity }),
      },
    },
    format: (answer) => new CompletionFormat(answer, extrasOf(request, logprobs !== undefined), echo ? prompts : null),
  };
}

function promptsOf(given: Prompt | Prompt[], model: ServedModel): EchoedPrompt[] {
  const list = isPrompt(given) ? [given] : given;
  return list.map((one) => {
    const { tokenizer } = model;
    if (typeof one === 'string') checkLength(one, model, 'prompt');
    const promptIds = typeof one === 'string' ? tokenizer.encodePrompt(one) : one;
    checkPrompt(promptIds, model, 'prompt');
    return { ids: promptIds, text: typeof one === 'string' ? one : tokenizer.decode(promptIds) };
  });
}
