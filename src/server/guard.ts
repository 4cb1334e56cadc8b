/**
 * Who may come in: the check of keys and of the Host header.
 *
 * Without a key a server on the loopback address is open to every program of this machine, and that is meant; but a page of the internet is
 * no such program. A page whose name is made to point at 127.0.0.1 (DNS rebinding) is told by its Host header, and one that posts across
 * origins by its content type, which read-request.ts asks for and browsers do not send without asking first.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { ApiError } from './api-error.ts';
import type { ServerEnv } from './server-context.ts';

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Refuses requests without one of the keys, in a time that does not tell how much of it was right. No keys: lets everybody in. */
export function requireKey(keys: readonly string[]): MiddlewareHandler<ServerEnv> {
  const digests = keys.map(digest);
  return async (c, next) => {
    if (digests.length === 0) return next();
    const given = /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    const wanted = digest(given ?? '');
    const which = digests.findIndex((one) => timingSafeEqual(one, wanted));
    if (given === undefined || which < 0) {
      const message = given === undefined ? 'Expected a key: Authorization: Bearer KEY.' : 'The key is not right.';
      throw new ApiError(401, message, { code: 'invalid_api_key' });
    }
    c.set('key', String(which));
    return next();
  };
}

/** Refuses other names of this server than these; null: any. */
export function requireHost(hosts: readonly string[] | null): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    if (hosts === null) return next();
    const host = (c.req.header('host') ?? '').replace(/:\d+$/, '').toLowerCase();
    if (hosts.includes(host)) return next();
    const message = `The Host header names "${host.slice(0, 100)}": expected ${hosts.join(', ')}.`;
    throw new ApiError(403, message, { code: 'host_not_allowed' });
  };
}
