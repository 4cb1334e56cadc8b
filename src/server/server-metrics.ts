/**
 * ServerMetrics: what /metrics shows, in the format of Prometheus: requests, tokens, times to the first token and between tokens, what waits and
 * runs, memory, and how many weights were skipped.
 */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Answer } from './answer.ts';
import type { ModelRegistry } from './model-registry.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export interface ServerMetricsOptions {
  /** Memory, processor and event loop of the process as well: they watch it as long as it runs. */
  process: boolean;
}

export class ServerMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'route' | 'status'>;
  readonly #promptTokens: Counter<'model' | 'cached'>;
  readonly #tokens: Counter<'model'>;
  readonly #ended: Counter<'model' | 'cause'>;
  readonly #queueSeconds: Histogram<'model'>;
  readonly #firstTokenSeconds: Histogram<'model'>;
  readonly #tokenSeconds: Histogram<'model'>;

  constructor(models: ModelRegistry, { process }: ServerMetricsOptions) {
    if (process) collectDefaultMetrics({ register: this.#registry });
    this.#requests = this.#counter(
      'requests_total',
      'Answered requests by route and status; a stream counts when it begins.',
      ['route', 'status'],
    );
    this.#promptTokens = this.#counter(
      'prompt_tokens_total',
      'Tokens of prompts; cached="true": not run again, because a kept sequence began with them.',
      ['model', 'cached'],
    );
    this.#tokens = this.#counter('generated_tokens_total', 'Generated tokens.', ['model']);
    this.#ended = this.#counter(
      'answers_total',
      'Answers by what ended them: done, client (it left), stalled (it did not read), timeout, closed (refused, or failed).',
      ['model', 'cause'],
    );
    this.#queueSeconds = this.#histogram('queue_seconds', 'Time until a text was admitted to the batch.');
    this.#firstTokenSeconds = this.#histogram('first_token_seconds', 'Time from the request to its first token.');
    this.#tokenSeconds = this.#histogram('token_seconds', 'Mean time between the tokens of a text.');
    this.#watch(models);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  observeRequest(route: string, status: number): void {
    this.#requests.inc({ route, status });
  }

  /** An answer that is over, whatever ended it. */
  observeAnswer({ lease, lifetime, choices, isWhole }: Answer): void {
    const model = lease.id;
    this.#ended.inc({ model, cause: isWhole ? 'done' : (lifetime.endedBy ?? 'closed') });
    for (const { stream } of choices) {
      const { promptTokens, cachedTokens, ranTokens, tokens, queueMs, promptMs, generateMs } = stream.usage;
      // A text that never got a place has run nothing.
      if (ranTokens > 0) {
        this.#promptTokens.inc({ model, cached: 'true' }, cachedTokens);
        this.#promptTokens.inc({ model, cached: 'false' }, promptTokens - cachedTokens);
      }
      if (tokens === 0) continue;
      this.#tokens.inc({ model }, tokens);
      this.#queueSeconds.observe({ model }, queueMs / 1000);
      this.#firstTokenSeconds.observe({ model }, (queueMs + promptMs) / 1000);
      if (tokens > 1) this.#tokenSeconds.observe({ model }, generateMs / 1000 / (tokens - 1));
    }
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name: `qsparse_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string): Histogram<'model'> {
    const shape = { labelNames: ['model' as const], buckets: SECONDS, registers: [this.#registry] };
    return new Histogram({ name: `qsparse_${name}`, help, ...shape });
  }

  /** Gauges that are asked when somebody looks. */
  #watch(models: ModelRegistry): void {
    const gauge = (name: string, help: string, read: (model: ReturnType<ModelRegistry['loaded']>[number]) => number) =>
      new Gauge({
        name: `qsparse_${name}`,
        help,
        labelNames: ['model'],
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const one of models.loaded()) this.set({ model: one.id }, read(one));
        },
      });
    gauge('queued', 'Texts that wait for a place.', ({ model }) => model.scheduler.counts.queued);
    gauge('running', 'Texts that are generated.', ({ model }) => model.scheduler.counts.running);
    gauge('kept_sequences', 'Sequences kept for prompts that begin alike.', ({ model }) => model.scheduler.counts.kept);
    gauge(
      'model_bytes',
      'Memory of a loaded model: weights, keys and values, intermediates.',
      ({ model }) => model.bytes,
    );
  }
}
