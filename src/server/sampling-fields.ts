/**
 * The fields that completions and chat completions have alike: how tokens are drawn, when a text ends, how much of the model runs.
 *
 * Names and ranges are OpenAI's; `top_k`, `min_p` and `repetition_penalty` are called as in vLLM; `sparsity` and `qsparse` are ours.
 */

import { z } from 'zod';
import type { AllowedTokens } from '../infer/sampler.ts';
import { Sampler } from '../infer/sampler.ts';
import { POINTS } from '../model/config.ts';
import { type SparsityOverride, selectionRules } from '../model/sparsity-override.ts';
import { UsageError, withoutPlace } from '../util/errors.ts';
import type { AnswerExtras } from './answer-format.ts';
import { ApiError } from './api-error.ts';
import { MOST_BIASES, MOST_CHOICES, MOST_LAYERS, MOST_STOP_CHARACTERS, MOST_STOPS } from './limits.ts';
import { atMost, ignored } from './read-request.ts';
import type { ServedModel } from './served-model.ts';

const number = (min: number, max: number) =>
  z
    .number({ error: `expected a number from ${min} to ${max}` })
    .min(min)
    .max(max)
    .nullish();

const whole = (min: number, max: number = Number.MAX_SAFE_INTEGER) => {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  const error = `expected a whole number ${range}`;
  return z.int({ error }).min(min, { error }).max(max, { error }).nullish();
};

const flag = z.boolean({ error: 'expected true or false' }).nullish();

const STOP = `expected a text or at most ${MOST_STOPS} texts, each of 1 to ${MOST_STOP_CHARACTERS} characters`;
const STOP_TEXT = `expected a text of 1 to ${MOST_STOP_CHARACTERS} characters`;
const stopText = z
  .string({ error: STOP_TEXT })
  .min(1, { error: STOP_TEXT })
  .max(MOST_STOP_CHARACTERS, { error: STOP_TEXT });
const share = z.number().min(0).lt(1);
const shareOfPoint = atMost(
  MOST_LAYERS,
  z.union([share, z.array(share)]),
  'expected a share or one for each layer',
).nullish();

const sparsity = z.union(
  [
    share,
    z.strictObject({
      qkv: shareOfPoint,
      o: shareOfPoint,
      gateUp: shareOfPoint,
      down: shareOfPoint,
    }),
  ],
  { error: `expected a share of at least 0 and below 1, or an object of shares by point (${POINTS.join(', ')})` },
);

const responseFormat = z.union(
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: z.string().max(64).nullish(),
        description: z.string().nullish(),
        schema: z.unknown(),
        strict: z.boolean().nullish(),
      }),
    }),
  ],
  {
    error: 'expected { "type": "text" }, { "type": "json_object" } or { "type": "json_schema", "json_schema": { … } }',
  },
);

export const SAMPLING_FIELDS = {
  model: z.string().nullish(),
  stream: flag,
  stream_options: z.strictObject({ include_usage: flag, include_obfuscation: flag }).nullish(),
  max_tokens: whole(0),
  n: whole(1, MOST_CHOICES),
  seed: whole(Number.MIN_SAFE_INTEGER),
  stop: atMost(MOST_STOPS, z.union([stopText, z.array(stopText)], { error: STOP }).nullish(), STOP).optional(),
  temperature: number(0, 2),
  top_p: number(0, 1),
  top_k: whole(-1),
  min_p: number(0, 1),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  repetition_penalty: z.number().gt(0).max(10).nullish(),
  logit_bias: atMost(
    MOST_BIASES,
    z.record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100)).nullish(),
    `expected at most ${MOST_BIASES} tokens`,
  ).optional(),
  response_format: responseFormat.nullish(),
  sparsity: sparsity.nullish(),
  qsparse: z.strictObject({ details: flag }).nullish(),
  // Change nothing here.
  user: ignored,
  metadata: ignored,
  store: ignored,
  service_tier: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
  prompt_cache_retention: ignored,
};

export { flag, number, whole };

const fields = z.object(SAMPLING_FIELDS);
export type SamplingFields = z.infer<typeof fields>;

/** Makes the sampler of each choice: the seed of choice i is that of the request, or else the server's next one, + i. Throws ApiError for a bias of no token. */
export function samplersOf(
  request: SamplingFields,
  {
    vocabSize,
    allowed,
    nextSeed,
  }: { vocabSize: number; allowed: (() => AllowedTokens) | null; nextSeed: () => number },
): (choice: number) => Sampler {
  const seed = request.seed ?? nextSeed();
  const logitBias = biasesOf(request.logit_bias ?? {}, vocabSize);
  const options = {
    temperature: request.temperature ?? 1,
    // The fewest tokens that hold nothing of the probability: one.
    topP: request.top_p === 0 ? Number.MIN_VALUE : (request.top_p ?? 1),
    topK: Math.max(0, request.top_k ?? 0),
    minP: request.min_p ?? 0,
    presencePenalty: request.presence_penalty ?? 0,
    frequencyPenalty: request.frequency_penalty ?? 0,
    repetitionPenalty: request.repetition_penalty ?? 1,
    logitBias,
  };
  return (choice) => new Sampler({ ...options, seed: seed + choice, ...(allowed && { allowed: allowed() }) });
}

function biasesOf(biases: Readonly<Record<string, number>>, vocabSize: number): Map<number, number> {
  const entries = Object.entries(biases).map(([id, bias]): [number, number] => [Number(id), bias]);
  for (const [id] of entries) {
    if (id < vocabSize) continue;
    throw new ApiError(400, `logit_bias: expected ids below ${vocabSize}, got ${id}.`, { param: 'logit_bias' });
  }
  return new Map(entries);
}

export function stopsOf({ stop }: SamplingFields): readonly string[] {
  return typeof stop === 'string' ? [stop] : (stop ?? []);
}

/** Throws ApiError for one that the model does not take: now, and not when its turn comes. */
export function sparsityOf(
  { sparsity: wanted }: SamplingFields,
  { config, defaultSparsity }: ServedModel,
): SparsityOverride | undefined {
  if (wanted === undefined || wanted === null) return defaultSparsity;
  const given =
    typeof wanted === 'object'
      ? Object.fromEntries(Object.entries(wanted).filter(([, share]) => share !== null))
      : wanted;
  try {
    selectionRules(config, given);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new ApiError(400, `sparsity: ${withoutPlace(error.message)}`, { param: 'sparsity' });
  }
  return given;
}

export function extrasOf({ stream_options, qsparse }: SamplingFields, logprobs: boolean): AnswerExtras {
  return { usage: stream_options?.include_usage ?? false, details: qsparse?.details ?? false, logprobs };
}
