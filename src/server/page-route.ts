/** The pages, isolated from other sites so that they may use shared memory: wasm with threads needs it. */

import type { ServerOptions, ServerRequest } from './server-context.ts';

const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
};

const NO_PAGES = 'qsparse serve: the API is here, at /v1. Its pages are not built: npm run build makes them.\n';

export function servePage(c: ServerRequest, { pages }: ServerOptions): Response | Promise<Response> {
  const page = pages.get(c.req.path);
  if (page === undefined) {
    if (pages.size === 0 && c.req.path === '/') return c.text(NO_PAGES);
    return c.notFound();
  }
  const headers = { ...HEADERS, 'content-type': page.type, etag: page.etag, 'cache-control': 'no-cache' };
  if (c.req.header('if-none-match') === page.etag) return c.body(null, 304, headers);
  return c.body(page.body, 200, headers);
}
