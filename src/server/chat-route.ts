/** /v1/chat/completions: a conversation becomes the prompt that the model's template makes of it. */

import { z } from 'zod';
import { encodeRendered } from '../chat/chat-form.ts';
import type { ChatMessage } from '../chat/chat-template.ts';
import { answerRequest, type PreparedAnswer } from './answer-route.ts';
import { ApiError } from './api-error.ts';
import { ChatFormat } from './chat-format.ts';
import { constraintOf } from './constraint.ts';
import { MOST_LOGPROBS, MOST_MESSAGES, MOST_PARTS } from './limits.ts';
import { checkLength, checkPrompt } from './prompt-text.ts';
import { atMost, ignored, readRequest, unsupported } from './read-request.ts';
import { extrasOf, flag, SAMPLING_FIELDS, samplersOf, sparsityOf, stopsOf, whole } from './sampling-fields.ts';
import type { ServedModel } from './served-model.ts';
import { clientOf, type ServerOptions, type ServerRequest } from './server-context.ts';

const textPart = z.strictObject({ type: z.literal('text', { error: 'expected "text"' }), text: z.string() });

const CONTENT = `expected a text or a list of at most ${MOST_PARTS} parts of type text`;

const message = z.strictObject({
  role: z.enum(['system', 'developer', 'user', 'assistant'], {
    error: 'expected system, developer, user or assistant',
  }),
  content: atMost(MOST_PARTS, z.union([z.string(), z.array(textPart)], { error: CONTENT }), CONTENT),
  name: ignored,
  refusal: ignored,
});

const MESSAGES = `expected a list of 1 to ${MOST_MESSAGES} messages`;

export const messages = atMost(
  MOST_MESSAGES,
  z.array(message, { error: MESSAGES }).min(1, { error: MESSAGES }),
  MESSAGES,
);

const isNone = (value: unknown) => value === 'none' || (Array.isArray(value) && value.length === 0);

const chatRequest = z.strictObject({
  ...SAMPLING_FIELDS,
  messages,
  max_completion_tokens: whole(0),
  logprobs: flag,
  top_logprobs: whole(0, MOST_LOGPROBS),
  tools: unsupported('calling tools', isNone),
  tool_choice: unsupported('calling tools', isNone),
  functions: unsupported('calling functions', isNone),
  function_call: unsupported('calling functions', isNone),
  modalities: unsupported(
    'output other than text',
    (value) => Array.isArray(value) && value.every((one) => one === 'text'),
  ),
  audio: unsupported('audio'),
  prediction: unsupported('predicted output'),
  web_search_options: unsupported('searching the web'),
  parallel_tool_calls: ignored,
  reasoning_effort: ignored,
  verbosity: ignored,
});

type ChatRequest = z.infer<typeof chatRequest>;

export async function chatCompletions(c: ServerRequest, server: ServerOptions): Promise<Response> {
  const request = await readRequest(c.req.raw, chatRequest);
  if (request.top_logprobs && !request.logprobs) {
    throw new ApiError(400, 'top_logprobs: needs "logprobs": true.', { param: 'top_logprobs' });
  }
  return answerRequest(c, server, request, (model) => prepare(request, model, clientOf(c), server.nextSeed));
}

function prepare(request: ChatRequest, model: ServedModel, client: string, nextSeed: () => number): PreparedAnswer {
  const { stop = [] } = model.chatForm ?? {};
  const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? undefined;
  const sparsity = sparsityOf(request, model);
  return {
    text: {
      promptIds: [chatPrompt(request.messages, model)],
      n: request.n ?? 1,
      samplerOf: samplersOf(request, {
        vocabSize: model.vocabSize,
        allowed: constraintOf(request.response_format, model),
        nextSeed,
      }),
      stop: [...stopsOf(request), ...stop],
      continues: false,
      options: {
        client,
        ...(maxTokens !== undefined && { maxTokens }),
        ...(request.logprobs && { logprobs: request.top_logprobs ?? 0 }),
        ...(request.qsparse?.details && { details: true }),
        ...(sparsity !== undefined && { sparsity }),
      },
    },
    format: (answer) => new ChatFormat(answer, extrasOf(request, request.logprobs ?? false)),
  };
}

/** The ids of a conversation up to where the answer begins. Throws ApiError where the model has no template or cannot take it. */
export function chatPrompt(conversation: z.infer<typeof messages>, model: ServedModel): number[] {
  const { chatForm, tokenizer } = model;
  if (chatForm === null) {
    const advice = 'Use /v1/completions, or start the server with --template.';
    const message = `The model has no chat template: it was not made for conversations. ${advice}`;
    throw new ApiError(400, message, { param: 'messages', code: 'no_chat_template' });
  }
  const plain = conversation.map(plainMessage);
  checkLength(plain.map(({ content }) => content).join(''), model, 'messages');
  const ids = encodeRendered(chatForm, tokenizer, chatForm.template.render(plain));
  checkPrompt(ids, model, 'messages');
  return ids;
}

/** What templates know: `developer` is the newer name of `system`. */
function plainMessage({ role, content }: z.infer<typeof message>): ChatMessage {
  return {
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
  };
}
