/**
 * ChoiceDetails: what `qsparse.details` tells of one choice: of each token its time and by layer the share of the model that it took, and at the
 * end the whole in numbers.
 *
 * Times by part are those of the whole model: they are the choice's where nothing else ran between its first token and its last.
 */

import type { GeneratedToken } from '../infer/generation.ts';
import type { TokenStream } from '../infer/token-queue.ts';
import { blockParameters } from '../model/flops.ts';
import type { ModelLease } from './model-registry.ts';
import type { ChoiceSummary, PartTimes, TokenDetails } from './page-answers.ts';

interface Snapshot {
  readonly parts: PartTimes | undefined;
  readonly ranTokens: number;
  readonly ownTokens: number;
}

export class ChoiceDetails {
  readonly #lease: ModelLease;
  readonly #stream: TokenStream;
  #first: Snapshot | null = null;
  #madeAt = 0;

  constructor(lease: ModelLease, stream: TokenStream) {
    this.#lease = lease;
    this.#stream = stream;
  }

  /** To be asked of every token in turn. */
  ofToken({ id, madeAt = 0, kept }: GeneratedToken): TokenDetails {
    const ms = this.#first === null ? this.#stream.usage.promptMs : madeAt - this.#madeAt;
    this.#first ??= this.#snapshot();
    this.#madeAt = madeAt;
    return { id, ms, kept: kept ?? null };
  }

  ofEnd(): ChoiceSummary {
    const { promptMs, generateMs, tokens, sparsity } = this.#stream.usage;
    const { config } = this.#lease.description;
    const parts = this.#parts(generateMs);
    return {
      promptMs,
      generateMs,
      tokensPerSecond: tokens > 1 ? (1000 * (tokens - 1)) / generateMs : null,
      sparsity: Number.isNaN(sparsity) ? null : sparsity,
      activatedParameters: Number.isNaN(sparsity) ? null : Math.round((1 - sparsity) * blockParameters(config)),
      ...(parts && { parts }),
    };
  }

  #snapshot(): Snapshot {
    const { scheduler, partTimes } = this.#lease.model;
    return {
      parts: partTimes?.(),
      ranTokens: scheduler.ranTokens,
      ownTokens: this.#stream.usage.ranTokens,
    };
  }

  /** null: not measured, or something else ran too. */
  #parts(generateMs: number): ChoiceSummary['parts'] | null {
    const now = this.#snapshot();
    const first = this.#first;
    if (!first?.parts || !now.parts) return null;
    if (now.ranTokens - first.ranTokens !== now.ownTokens - first.ownTokens) return null;
    const parts = {
      selection: now.parts.selection - first.parts.selection,
      products: now.parts.products - first.parts.products,
      attention: now.parts.attention - first.parts.attention,
      head: now.parts.head - first.parts.head,
    };
    const known = parts.selection + parts.products + parts.attention + parts.head;
    return { ...parts, other: Math.max(0, generateMs - known) };
  }
}
