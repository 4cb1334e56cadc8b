/**
 * createApp: every route of the server, in order, with what stands before them: the Host header, CORS, keys, the size of bodies.
 *
 * The app is a function from Request to Response and listens nowhere: tests call it, and listen.ts puts it on a port.
 */

import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import { messageOf } from '../util/errors.ts';
import { ApiError, toApiError } from './api-error.ts';
import { chatCompletions } from './chat-route.ts';
import { completions } from './completion-route.ts';
import { requireHost, requireKey } from './guard.ts';
import { MOST_BODY_BYTES } from './limits.ts';
import { listModels, listOpenAiModels, loadModel, oneOpenAiModel, unloadModel } from './model-routes.ts';
import { servePage } from './page-route.ts';
import { listRuns, runMetrics } from './run-routes.ts';
import type { ServerEnv, ServerOptions, ServerRequest } from './server-context.ts';
import { detokenize, tokenize } from './token-routes.ts';

type Handler = (c: ServerRequest, server: ServerOptions) => Response | Promise<Response>;

export type ServerApp = Hono<ServerEnv>;

export function createApp(server: ServerOptions): ServerApp {
  const app = new Hono<ServerEnv>();
  const route = (method: 'get' | 'post', path: string, handler: Handler) =>
    app[method](path, (c) => handler(c as ServerRequest, server));

  app.use(async (c, next) => {
    await next();
    server.metrics.observeRequest(routeOf(c as ServerRequest), c.res.status);
  });
  app.use(requireHost(server.hosts));
  if (server.corsOrigins.length > 0) app.use(corsFor(server.corsOrigins));
  route('get', '/health', health);

  for (const open of ['/v1/*', '/tokenize', '/detokenize', '/metrics', '/api/*']) {
    app.use(open, requireKey(server.apiKeys));
  }
  app.use(async (c, next) => {
    if (c.req.method === 'POST' && server.isStopping()) {
      throw new ApiError(503, 'The server is stopping.', { code: 'stopping', retryAfter: 5 });
    }
    return next();
  });
  app.use(bodyLimit({ maxSize: MOST_BODY_BYTES, onError: tooLarge }));

  route('post', '/v1/chat/completions', chatCompletions);
  route('post', '/v1/completions', completions);
  route('get', '/v1/models', listOpenAiModels);
  route('get', '/v1/models/:id{.+}', oneOpenAiModel);
  route('post', '/tokenize', tokenize);
  route('post', '/detokenize', detokenize);
  route('get', '/metrics', prometheus);
  route('get', '/api/models', listModels);
  route('post', '/api/models/load', loadModel);
  route('post', '/api/models/unload', unloadModel);
  route('get', '/api/runs', listRuns);
  route('get', '/api/runs/:id/metrics', runMetrics);
  route('get', '/*', servePage);

  app.notFound((c) => unknownRoute(c.req.method, c.req.path).response());
  app.onError((error) => toApiError(error, (cause) => server.log(`unexpected: ${messageOf(cause)}`)).response());
  return app;
}

/** A route by its pattern, so that paths from outside are no labels of metrics. */
function routeOf(c: ServerRequest): string {
  const path = c.req.routePath;
  return path === '*' || path === '/*' ? 'other' : path;
}

function corsFor(origins: readonly string[]) {
  return cors({
    origin: origins.includes('*') ? '*' : [...origins],
    allowMethods: ['GET', 'POST'],
    // No list of headers that may be sent, so that all are: clients tell of themselves in headers of their own, OpenAI's in a dozen of x-stainless-*.
    exposeHeaders: ['retry-after', 'x-next-byte'],
    maxAge: 600,
  });
}

function tooLarge(): never {
  throw new ApiError(413, `The body: expected at most ${MOST_BODY_BYTES} bytes.`, { code: 'body_too_large' });
}

function unknownRoute(method: string, path: string): ApiError {
  return new ApiError(404, `There is no ${method} ${path.slice(0, 100)}. docs/server.md lists what there is.`, {
    code: 'unknown_url',
  });
}

function health(c: ServerRequest, { registry, isStopping }: ServerOptions): Response {
  if (isStopping()) return c.json({ status: 'stopping' }, 503);
  return c.json({ status: 'ok', models: registry.loaded().map(({ id }) => id) });
}

async function prometheus(c: ServerRequest, { metrics }: ServerOptions): Promise<Response> {
  return c.body(await metrics.text(), 200, { 'content-type': metrics.contentType });
}
