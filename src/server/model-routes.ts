/** The models of the server: OpenAI's list, and our own with what they are, loading and unloading. */

import { z } from 'zod';
import { ApiError } from './api-error.ts';
import type { ModelListing } from './model-registry.ts';
import type { ListedModel } from './page-answers.ts';
import { readRequest } from './read-request.ts';
import type { ServerOptions, ServerRequest } from './server-context.ts';

const modelRequest = z.strictObject({ id: z.string() });

/** When the server began to offer its models. */
const created = Math.floor(Date.now() / 1000);

const openAiModel = (id: string) => ({ id, object: 'model', created, owned_by: 'qsparse' });

export function listOpenAiModels(c: ServerRequest, { registry }: ServerOptions): Response {
  return c.json({ object: 'list', data: registry.ids.map(openAiModel) });
}

/** Ids have slashes: the rest of the path is one. */
export function oneOpenAiModel(c: ServerRequest, { registry }: ServerOptions): Response {
  const id = c.req.param('id') ?? '';
  if (registry.ids.includes(id)) return c.json(openAiModel(id));
  const message = `There is no model "${id.slice(0, 100)}".`;
  throw new ApiError(404, message, { param: 'model', code: 'model_not_found' });
}

export function listModels(c: ServerRequest, { registry }: ServerOptions): Response {
  return c.json(registry.list().map(described));
}

export async function loadModel(c: ServerRequest, { registry }: ServerOptions): Promise<Response> {
  const { id } = await readRequest(c.req.raw, modelRequest);
  registry.load(id);
  return c.json({ id, loaded: true });
}

/** Answers when its memory is free. */
export async function unloadModel(c: ServerRequest, { registry }: ServerOptions): Promise<Response> {
  const { id } = await readRequest(c.req.raw, modelRequest);
  await registry.unload(id);
  return c.json({ id, loaded: false });
}

function described({ id, description, loaded, users }: ModelListing): ListedModel {
  const unknown = { config: null, parameters: null, dtype: null, contextTokens: null, chat: null, bytes: null };
  return { id, ...(description ?? unknown), loaded, users, readable: description !== null };
}
