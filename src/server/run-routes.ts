/** /api/runs: the training runs of the folder that the server was given. */

import { ApiError } from './api-error.ts';
import type { ServerOptions, ServerRequest } from './server-context.ts';

export async function listRuns(c: ServerRequest, { runs }: ServerOptions): Promise<Response> {
  return c.json(runs === null ? [] : await runs.list());
}

/** JSON lines from byte `from` on; the header `x-next-byte` says where the next part begins. */
export async function runMetrics(c: ServerRequest, { runs }: ServerOptions): Promise<Response> {
  const from = c.req.query('from') ?? '0';
  if (!/^\d{1,15}$/.test(from)) {
    throw new ApiError(400, 'from: expected a whole number of at least 0.', { param: 'from' });
  }
  const part = (await runs?.metrics(c.req.param('id') ?? '', Number(from))) ?? null;
  if (part === null) throw new ApiError(404, 'There is no such run.', { param: 'id', code: 'run_not_found' });
  return c.body(part.text, 200, { 'content-type': 'application/jsonl', 'x-next-byte': String(part.next) });
}
