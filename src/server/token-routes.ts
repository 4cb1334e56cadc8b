/** /tokenize and /detokenize: text as the model's tokens, and back; as vLLM has them. */

import { z } from 'zod';
import { ApiError } from './api-error.ts';
import { chatPrompt, messages } from './chat-route.ts';
import { checkLength } from './prompt-text.ts';
import { isIdList, readRequest } from './read-request.ts';
import { flag } from './sampling-fields.ts';
import type { ServedModel } from './served-model.ts';
import type { ServerOptions, ServerRequest } from './server-context.ts';
import { tokenText } from './token-text.ts';

const tokenizeRequest = z.strictObject({
  model: z.string().nullish(),
  prompt: z.string().nullish(),
  messages: messages.nullish(),
  add_special_tokens: flag,
  return_token_strs: flag,
});

const detokenizeRequest = z.strictObject({
  model: z.string().nullish(),
  tokens: z.custom<number[]>(isIdList, { error: 'expected a list of token ids' }),
});

export async function tokenize(c: ServerRequest, { registry }: ServerOptions): Promise<Response> {
  const request = await readRequest(c.req.raw, tokenizeRequest);
  const lease = registry.acquire(request.model ?? undefined);
  try {
    const tokens = idsOf(request, lease.model);
    const { tokenizer, contextTokens } = lease.model;
    const texts = request.return_token_strs ? tokens.map((id) => tokenText(tokenizer, id).token) : null;
    return c.json({ tokens, count: tokens.length, max_model_len: contextTokens, token_strs: texts });
  } finally {
    lease.release();
  }
}

export async function detokenize(c: ServerRequest, { registry }: ServerOptions): Promise<Response> {
  const { model: id, tokens } = await readRequest(c.req.raw, detokenizeRequest);
  const lease = registry.acquire(id ?? undefined);
  try {
    return c.json({ prompt: lease.model.tokenizer.decode(tokens) });
  } finally {
    lease.release();
  }
}

function idsOf(request: z.infer<typeof tokenizeRequest>, model: ServedModel): readonly number[] {
  const { prompt = null, messages: conversation = null, add_special_tokens } = request;
  if ((prompt === null) === (conversation === null)) {
    throw new ApiError(400, 'Expected either prompt or messages.', { param: 'prompt' });
  }
  if (conversation) {
    if (add_special_tokens) {
      const message = 'add_special_tokens: is for a prompt; of messages the template says what stands around them.';
      throw new ApiError(400, message, { param: 'add_special_tokens' });
    }
    return chatPrompt(conversation, model);
  }
  const text = prompt ?? '';
  checkLength(text, model, 'prompt');
  return (add_special_tokens ?? true) ? model.tokenizer.encodePrompt(text) : model.tokenizer.encode(text);
}
