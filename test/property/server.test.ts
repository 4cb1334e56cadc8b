/**
 * Damaged requests: whatever a body says, the server answers it or refuses it in OpenAI's shape; it never fails, says no path and no stack, and has
 * nothing left to do for it. `npm run fuzz` damages 10,000.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fakeServer, fakeSource } from '../support/fake-server.ts';
import { fuzzRuns } from '../support/mutations.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const SAMPLING = {
  model: 'fake',
  ...{ max_tokens: 3, n: 2, seed: 7, temperature: 0.7, top_p: 0.9, top_k: 5, min_p: 0.1 },
  ...{ presence_penalty: 1, frequency_penalty: 0.5, repetition_penalty: 1.1, logit_bias: { 5: 1, 6: -100 } },
  ...{ stop: ['x', 'The'], stream: false, stream_options: { include_usage: true }, user: 'a', metadata: { a: 'b' } },
  ...{ sparsity: { qkv: 0.5, down: [0.1, 0.2] }, qsparse: { details: true }, response_format: { type: 'text' } },
};

const GOOD: readonly [path: string, body: Json][] = [
  ['/v1/completions', { ...SAMPLING, prompt: 'The fox', echo: true, logprobs: 2, best_of: 1, suffix: '' }],
  ['/v1/completions', { prompt: [[5, 6], [7]], max_tokens: 2, stream: true }],
  ['/v1/completions', { prompt: 'The', max_tokens: 8, response_format: { type: 'json_object' } }],
  [
    '/v1/chat/completions',
    {
      ...SAMPLING,
      messages: [
        { role: 'system', content: 'lazy' },
        { role: 'user', content: [{ type: 'text', text: 'runs' }], name: 'a' },
      ],
      ...{ logprobs: true, top_logprobs: 2, max_completion_tokens: 2, tools: [], tool_choice: 'none' },
    },
  ],
  ['/v1/chat/completions', { messages: [{ role: 'user', content: 'jumps' }], stream: true, max_tokens: 2 }],
  ['/tokenize', { prompt: 'The fox', add_special_tokens: true, return_token_strs: true }],
  ['/detokenize', { tokens: [1, 2, 3] }],
  ['/api/models/load', { id: 'fake' }],
  ['/api/models/unload', { id: 'fake' }],
];

const anyJson = fc.oneof(
  fc.constantFrom<Json>(...[null, true, false, 0, -1, 1, 0.5, 1e308, 2 ** 53, 65, -0.0001, '', 'a', 'text', [], {}]),
  fc.constantFrom<Json>(
    'x'.repeat(5000),
    Array(70).fill(1),
    Array(70).fill('a'),
    [[[]]],
    { a: { b: [] } },
    '\ud800',
    '\0',
  ),
  fc.constantFrom<Json>(
    { type: 'json_schema', json_schema: { schema: { type: 'array', items: {} } } },
    { type: 'json_schema' },
  ),
  fc.constantFrom<Json>({ __proto__: null }, { constructor: 1 }, { toString: null }, [null], [-1], [289], [290]),
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>,
);

/** Puts a value somewhere: at a place that a number names, on the way into the body. */
function replaced(value: Json, places: readonly number[], by: Json, rename: boolean): Json {
  if (typeof value !== 'object' || value === null || places.length === 0) return by;
  const keys = Object.keys(value);
  if (keys.length === 0) return by;
  const [place, ...rest] = places;
  const key = keys[place % keys.length];
  if (Array.isArray(value)) {
    const index = Number(key);
    return value.map((item, i) => (i === index ? replaced(item, rest, by, rename) : item));
  }
  const { [key]: old, ...others } = value;
  return { ...others, [rename ? `${key.slice(1)}x` : key]: replaced(old, rest, by, rename) };
}

const aBody = fc
  .tuple(
    fc.constantFrom(...GOOD),
    fc.array(fc.tuple(fc.array(fc.nat(40), { minLength: 1, maxLength: 3 }), anyJson, fc.nat(5)), { maxLength: 3 }),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.tuple(fc.nat(400), fc.nat(9), fc.string()) },
    ),
  )
  .map(([[path, body], edits, cut]) => {
    const edited = edits.reduce((one, [places, by, kind]) => replaced(one, places, by, kind === 0), body);
    const text = JSON.stringify(edited);
    if (cut === null) return { path, text };
    const [at, length, by] = cut;
    return { path, text: text.slice(0, at) + by + text.slice(at + length) };
  });

const REFUSALS = [400, 404, 413, 415, 429, 503];

describe('the server', () => {
  it('answers or refuses any body', async () => {
    const source = fakeSource('fake', { fake: { maxSequences: 8 } });
    const server = fakeServer([source]);
    await fc.assert(
      fc.asyncProperty(aBody, async ({ path, text }) => {
        const response = await server.post(path, text);
        const answer = await response.text();
        if (response.status !== 200) {
          expect(REFUSALS).toContain(response.status);
          const { error } = JSON.parse(answer) as { error: Record<string, unknown> };
          expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
          expect(String(error.message).length).toBeLessThan(1000);
          expect(answer).not.toMatch(/node_modules|\.ts:|\bat .*:\d+:\d+/);
        } else if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
          expect(answer.endsWith('data: [DONE]\n\n')).toBe(true);
        }
        for (const { model } of server.registry.loaded()) {
          expect([model.scheduler.counts.queued, model.scheduler.counts.running]).toEqual([0, 0]);
        }
        expect(server.registry.list()[0].users).toBe(0);
      }),
      fuzzRuns(250),
    );
    expect(server.log.filter((line) => !/^(un)?loaded fake/.test(line))).toEqual([]);
    for (const [path, body] of GOOD) {
      const response = await server.post(path, body);
      // To its end: a model is unloaded when its streams are read.
      expect([path, response.status, await response.text()]).toEqual([path, 200, expect.any(String)]);
    }
    server.registry.dispose();
    for (const { breaches, live } of source.models) expect([breaches, live.size]).toEqual([[], 0]);
  });
});
