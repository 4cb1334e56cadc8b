/** RequestLifetime: what may end a request before its answer is whole: the client leaves, it stops reading, or the time is over. */

/** `closed`: the server gave the answer up, or it is whole. */
export type EndCause = 'client' | 'stalled' | 'timeout' | 'closed';

export class RequestLifetime {
  readonly #controller = new AbortController();
  readonly #client: AbortSignal;
  readonly #onClient = () => this.end('client');
  readonly #timer: NodeJS.Timeout;
  #endedBy: EndCause | null = null;

  /** `client` is aborted when the connection is gone. */
  constructor(client: AbortSignal, timeoutMs: number) {
    this.#client = client;
    this.#timer = setTimeout(() => this.end('timeout'), timeoutMs);
    if (client.aborted) this.end('client');
    else client.addEventListener('abort', this.#onClient, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** null: it was not ended. */
  get endedBy(): EndCause | null {
    return this.#endedBy;
  }

  /** Only the first cause counts. */
  end(cause: EndCause): void {
    if (this.#controller.signal.aborted) return;
    this.#endedBy = cause;
    this.#controller.abort();
  }

  /** The answer is over: no timer and no listener stays. */
  dispose(): void {
    clearTimeout(this.#timer);
    this.#client.removeEventListener('abort', this.#onClient);
  }
}
