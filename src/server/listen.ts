/** listen: the app on a port of Node's HTTP server, with its limits of time and connections, until it is stopped. */

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { messageOf, UsageError } from '../util/errors.ts';
import type { ServerApp } from './create-app.ts';

export interface Listening {
  /** Without a slash at the end. */
  readonly url: string;
  /** Takes no more connections; resolves when all answers are sent. */
  stop(): Promise<void>;
}

/** A request that has not come in whole by then is no request. */
const REQUEST_MS = 60_000;
const KEEP_ALIVE_MS = 75_000;
const MOST_CONNECTIONS = 2048;
const CLOSE_IDLE_EVERY_MS = 50;

/** Port 0: any that is free. Throws UsageError where the address cannot be used. */
export async function listen(app: ServerApp, { host, port }: { host: string; port: number }): Promise<Listening> {
  const server = createAdaptorServer({ fetch: app.fetch, hostname: host }) as Server;
  server.requestTimeout = REQUEST_MS;
  server.headersTimeout = REQUEST_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const advice = 'Choose another --port or --host.';
      reject(new UsageError('serve', `cannot listen on ${host}:${port}: ${messageOf(error)}. ${advice}`));
    });
    server.listen(port, host, resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    stop: () =>
      new Promise((resolve) => {
        // A connection that was answering stays open behind its answer, for a request that will not come.
        const closing = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
        server.close(() => {
          clearInterval(closing);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}
