/**
 * A few lines of text from the model in training: what a loss of 3.1 sounds like.
 *
 * Reads the trainer's own weights, so it always speaks for the current step; the cache and workspace are taken at the
 * first sample. The same seed each time: what changes between samples is the model.
 */

import type { Backend } from '../../backend.ts';
import { Engine } from '../../infer/engine.ts';
import { generateText } from '../../infer/generate-text.ts';
import { Sampler } from '../../infer/sampler.ts';
import type { ModelConfig } from '../../model/config.ts';
import { weightsOfParameters } from '../../model/weights.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { SampleRecord } from '../../train/metrics.ts';
import type { Trainer } from '../../train/trainer.ts';

/** A word that begins sentences in most English text, and that any byte-level tokenizer can spell. */
const PROMPT = 'The';
const SAMPLE_TOKENS = 64;

export class TextSampler {
  readonly #config: ModelConfig;
  readonly #tokenizer: Tokenizer;
  readonly #backend: Backend;
  readonly #seed: number;
  readonly #prompt: string;
  #engine: Engine | undefined;

  constructor(config: ModelConfig, tokenizer: Tokenizer, backend: Backend, seed: number, prompt = PROMPT) {
    this.#config = config;
    this.#tokenizer = tokenizer;
    this.#backend = backend;
    this.#seed = seed;
    this.#prompt = prompt;
  }

  /** The continuation of a fixed prompt; null where the context has no room for one. */
  async sample(step: number, trainer: Trainer): Promise<SampleRecord | null> {
    const promptTokens = this.#tokenizer.encodePrompt(this.#prompt).length;
    const maxTokens = Math.min(SAMPLE_TOKENS, this.#config.seqLen - promptTokens);
    if (maxTokens < 1) return null;
    const parameters = trainer.model.multipliedParameters(); // in the same memory each time
    // A cache for the sample, not for the whole context, which may take more memory than the model.
    const options = { maxTokens: promptTokens + maxTokens };
    this.#engine ??= new Engine(this.#config, weightsOfParameters(this.#config, parameters), this.#backend, options);
    const sampler = new Sampler({ temperature: 0.8, seed: this.#seed });
    let text = '';
    for await (const piece of generateText(this.#engine, this.#tokenizer, this.#prompt, { sampler, maxTokens }))
      text += piece;
    return { type: 'sample', step, prompt: this.#prompt, text };
  }

  dispose(): void {
    this.#engine?.dispose();
  }
}
