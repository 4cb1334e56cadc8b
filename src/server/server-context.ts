/** What the routes of a server share: its models, its limits, and who is asking. */

import type { Context } from 'hono';
import type { ModelRegistry } from './model-registry.ts';
import type { Page } from './pages.ts';
import type { RunListing } from './run-listing.ts';
import type { ServerMetrics } from './server-metrics.ts';

export interface ServerOptions {
  readonly registry: ModelRegistry;
  /** Any of them opens the API; none: it is open. */
  readonly apiKeys: readonly string[];
  /** Origins whose pages may call the API from a browser; `*`: all. */
  readonly corsOrigins: readonly string[];
  /** Names that the Host header may have, without a port; null: any. Without a key it keeps pages of other names from this server. */
  readonly hosts: readonly string[] | null;
  /** By path. */
  readonly pages: ReadonlyMap<string, Page>;
  /** null: no folder of runs was named. */
  readonly runs: RunListing | null;
  readonly metrics: ServerMetrics;
  /** Seeds of requests that give none. */
  readonly nextSeed: () => number;
  /** Longest time of an answer, waiting included. */
  readonly timeoutMs: number;
  /** A line for the operator. */
  readonly log: (line: string) => void;
  /** The server takes no more requests. */
  readonly isStopping: () => boolean;
}

/** What the listening server knows of a connection; absent where the app is called directly. */
export interface Connection {
  incoming?: { socket?: { remoteAddress?: string | undefined } };
  outgoing?: { destroy(): unknown };
}

export type ServerEnv = {
  Bindings: Connection;
  Variables: {
    /** Which of the keys was given; '' without keys. */
    key: string;
  };
};

export type ServerRequest = Context<ServerEnv>;

/** Who asks, for fairness: an address with a key. */
export function clientOf(c: ServerRequest): string {
  return `${c.get('key') ?? ''} ${c.env?.incoming?.socket?.remoteAddress ?? ''}`;
}
