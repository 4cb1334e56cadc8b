import { afterEach, describe, expect, it } from 'vitest';
import {
  chatForm,
  eventsOf,
  type FakeServer,
  type FakeSource,
  fakeServer,
  fakeSource,
  tokenizer,
} from '../../test/support/fake-server.ts';
import { FakeTokenModel, plainTokens } from '../../test/support/fake-token-model.ts';
import { logprobsOf } from '../infer/logprobs.ts';
import { Sampler, type SamplerOptions } from '../infer/sampler.ts';
import {
  MOST_BIASES,
  MOST_LAYERS,
  MOST_LOGPROBS,
  MOST_MESSAGES,
  MOST_PARTS,
  MOST_STOP_CHARACTERS,
  MOST_STOPS,
} from './limits.ts';
import { tokenName } from './token-text.ts';

interface Body {
  choices: {
    index: number;
    text: string;
    message: { role: string; content: string };
    delta: { role?: string; content?: string };
    finish_reason: string | null;
    logprobs: {
      tokens: string[];
      token_logprobs: (number | null)[];
      top_logprobs: Record<string, number>[];
      text_offset: number[];
      content: {
        token: string;
        logprob: number;
        bytes: number[];
        top_logprobs: { token: string; logprob: number }[];
      }[];
    } | null;
  }[];
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
    qsparse: { seconds: number };
  };
  error: { message: string; type: string; param: string | null; code: string | null };
}

let source: FakeSource;
let server: FakeServer;

function setUp(options: Parameters<typeof fakeSource>[1] = {}): void {
  source = fakeSource('fake', options);
  server = fakeServer([source]);
}

afterEach(() => {
  server.registry.dispose();
  for (const model of source.models) {
    expect(model.live.size).toBe(0);
    expect(model.breaches).toEqual([]);
  }
});

async function ask(path: string, body: object, status = 200): Promise<Body> {
  const response = await server.post(path, body);
  const answer = (await response.json()) as Body;
  expect([response.status, answer.error]).toEqual([status, status === 200 ? undefined : answer.error]);
  return answer;
}

async function stream(path: string, body: object): Promise<Body[]> {
  const response = await server.post(path, { ...body, stream: true });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const events = await eventsOf(response);
  expect(events.at(-1)).toBe('[DONE]');
  return events.slice(0, -1).map((event) => JSON.parse(event) as Body);
}

/** What the plainest loop gives. */
function plain(prompt: string, sampling: SamplerOptions, maxTokens: number): number[] {
  const model = new FakeTokenModel({ vocabSize: 290, maxTokens: 64 });
  const promptIds = tokenizer.encodePrompt(prompt);
  return plainTokens(model, { promptIds, sampler: new Sampler(sampling), maxTokens, stopIds: tokenizer.endIds }).ids;
}

const textOf = (ids: readonly number[]) => tokenizer.decode(ids);

describe('/v1/completions', () => {
  it('continues a text as the plainest loop does, greedy and with a seed', async () => {
    setUp();
    const greedy = await ask('/v1/completions', { model: 'fake', prompt: 'The fox', temperature: 0, max_tokens: 9 });
    const ids = plain('The fox', { temperature: 0 }, 9);
    expect(greedy.choices).toEqual([{ index: 0, text: textOf(ids), logprobs: null, finish_reason: 'length' }]);
    const promptTokens = tokenizer.encodePrompt('The fox').length;
    expect(greedy.usage).toMatchObject({
      prompt_tokens: promptTokens,
      completion_tokens: 9,
      total_tokens: promptTokens + 9,
    });
    const fields = { temperature: 0.7, top_p: 0.9, top_k: 20, min_p: 0.01, seed: 5 };
    const seeded = await ask('/v1/completions', { prompt: 'The fox', max_tokens: 9, ...fields });
    const sampling = { temperature: 0.7, topP: 0.9, topK: 20, minP: 0.01, seed: 5 };
    expect(seeded.choices[0].text).toBe(textOf(plain('The fox', sampling, 9)));
  });

  it('applies penalties and biases', async () => {
    setUp();
    const fields = {
      presence_penalty: 1.5,
      frequency_penalty: 0.5,
      repetition_penalty: 1.3,
      logit_bias: { 7: 5, 8: -100 },
    };
    const answer = await ask('/v1/completions', { prompt: 'The dog', temperature: 0, max_tokens: 12, ...fields });
    const sampling = {
      temperature: 0,
      presencePenalty: 1.5,
      frequencyPenalty: 0.5,
      repetitionPenalty: 1.3,
      logitBias: new Map([
        [7, 5],
        [8, -100],
      ] as const),
    };
    expect(answer.choices[0].text).toBe(textOf(plain('The dog', sampling, 12)));
  });

  it('gives n texts to each of several prompts, texts and ids alike', async () => {
    setUp();
    const prompts = ['The fox', 'The dog'];
    const body = { n: 2, seed: 3, max_tokens: 6 };
    const byText = await ask('/v1/completions', { prompt: prompts, ...body });
    // The seed of choice i is seed + i, over all prompts.
    const wanted = prompts.flatMap((prompt, p) => [0, 1].map((i) => textOf(plain(prompt, { seed: 3 + 2 * p + i }, 6))));
    expect(byText.choices.map(({ text }) => text)).toEqual(wanted);
    expect(byText.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    const prompt = prompts.map((text) => tokenizer.encodePrompt(text));
    expect((await ask('/v1/completions', { prompt, ...body })).choices).toEqual(byText.choices);
    const one = await ask('/v1/completions', { prompt: prompt[0], ...body, n: 1 });
    expect(one.choices[0].text).toBe(wanted[0]);
  });

  it('ends before stop strings, and tells why', async () => {
    setUp();
    const whole = (await ask('/v1/completions', { prompt: 'The', temperature: 0, max_tokens: 20 })).choices[0].text;
    const stop = whole.slice(6, 9);
    const cut = await ask('/v1/completions', { prompt: 'The', temperature: 0, max_tokens: 20, stop: ['never', stop] });
    expect(cut.choices[0]).toMatchObject({ text: whole.slice(0, whole.indexOf(stop)), finish_reason: 'stop' });
    const first = await ask('/v1/completions', { prompt: 'The', temperature: 0, max_tokens: 20, stop: whole[0] });
    expect(first.choices[0]).toMatchObject({ text: '', finish_reason: 'stop' });
  });

  it('ends at a stop string whether anybody reads or not', async () => {
    setUp();
    const whole = (await ask('/v1/completions', { prompt: 'The', temperature: 0, max_tokens: 20 })).choices[0].text;
    const body = { prompt: 'The', temperature: 0, max_tokens: 50, stop: whole.slice(3, 6), stream: true };
    const response = await server.post('/v1/completions', { ...body, stream_options: { include_usage: true } });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { usage } = JSON.parse((await eventsOf(response)).at(-2)!) as Body;
    expect(usage.completion_tokens).toBeLessThan(20);
  });

  it('counts of a prompt what was cached once, however many texts it has', async () => {
    setUp();
    const body = { prompt: 'The lazy dog sleeps', n: 4, max_tokens: 2 };
    await ask('/v1/completions', body);
    const { usage } = await ask('/v1/completions', body);
    const cached = usage.prompt_tokens_details.cached_tokens;
    expect(cached).toBeGreaterThan(0);
    expect(cached).toBeLessThan(usage.prompt_tokens);
  });

  it('takes null for a field that is left out', async () => {
    setUp();
    const wanted = await ask('/v1/completions', { prompt: 'The fox', seed: 1, max_tokens: 3, sparsity: {} });
    const nothing = { model: null, temperature: null, stop: null, logit_bias: null, qsparse: null };
    const sparsity = { qkv: null, o: null, gateUp: null, down: null };
    const answer = await ask('/v1/completions', { prompt: 'The fox', seed: 1, max_tokens: 3, ...nothing, sparsity });
    expect(answer.choices).toEqual(wanted.choices);
    const tokens = await server.post('/tokenize', { model: null, prompt: 'The fox', messages: null });
    expect(await tokens.json()).toMatchObject({ tokens: tokenizer.encodePrompt('The fox') });
    const schema = { type: 'json_schema', json_schema: { name: null, schema: { type: 'boolean' } } };
    expect((await server.post('/v1/completions', { prompt: 'a', max_tokens: 2, response_format: schema })).status).toBe(
      200,
    );
  });

  it('refuses a schema that is nested beyond the stack', async () => {
    setUp();
    const depth = 50_000;
    const schema = `${'{"items":'.repeat(depth)}{}${'}'.repeat(depth)}`;
    const format = `{"type":"json_schema","json_schema":{"schema":${schema}}}`;
    const answer = await server.post('/v1/completions', `{"prompt":"a","response_format":${format}}`);
    expect([answer.status, ((await answer.json()) as Body).error.code]).toEqual([400, 'schema']);
  });

  it('streams what it answers whole', async () => {
    setUp();
    const body = { prompt: 'The lazy', n: 3, seed: 11, max_tokens: 14, logprobs: 2, stop: 'x' };
    const whole = await ask('/v1/completions', body);
    const chunks = await stream('/v1/completions', { ...body, stream_options: { include_usage: true } });
    const usage = chunks.pop();
    expect(usage?.choices).toEqual([]);
    expect(usage?.usage.total_tokens).toBe(whole.usage.total_tokens);
    for (const choice of whole.choices) {
      const own = chunks.flatMap(({ choices }) => choices.filter(({ index }) => index === choice.index));
      expect(own.map(({ text }) => text).join('')).toBe(choice.text);
      expect(own.flatMap(({ logprobs }) => logprobs?.tokens ?? [])).toEqual(choice.logprobs?.tokens ?? []);
      expect(own.flatMap(({ logprobs }) => logprobs?.text_offset ?? [])).toEqual(choice.logprobs?.text_offset ?? []);
      expect(own.at(-1)?.finish_reason).toBe(choice.finish_reason);
      expect(own.filter(({ finish_reason }) => finish_reason !== null)).toHaveLength(1);
    }
  });

  it('gives log-probabilities of what was drawn, and of the prompt where it is echoed', async () => {
    setUp();
    const prompt = 'The quick brown';
    const promptIds = tokenizer.encodePrompt(prompt);
    const generated = plain(prompt, { temperature: 0 }, 3);
    const ids = [...promptIds, ...generated];
    const model = new FakeTokenModel({ vocabSize: 290 });
    const wanted = ids.map((id, i) =>
      i === 0 ? null : logprobsOf(Float32Array.from(model.logitsOf(ids.slice(0, i), {})), id, 1),
    );
    const body = { prompt, temperature: 0, max_tokens: 3, logprobs: 1 };
    const echoed = (await ask('/v1/completions', { ...body, echo: true })).choices[0];
    expect(echoed.text).toBe(textOf(ids));
    expect(echoed.logprobs?.tokens).toEqual(ids.map((id) => tokenName(tokenizer, id)));
    expect(echoed.logprobs?.token_logprobs.map((value) => value?.toFixed(5))).toEqual(
      wanted.map((one) => one?.logprob.toFixed(5)),
    );
    const [likeliest] = wanted[2]!.top;
    expect(echoed.logprobs?.top_logprobs[2]).toEqual({ [tokenName(tokenizer, likeliest.id)]: likeliest.logprob });
    const offsets = ids.map((_, i) => textOf(ids.slice(0, i)).length);
    expect(echoed.logprobs?.text_offset).toEqual(offsets);
    const scored = (await ask('/v1/completions', { ...body, echo: true, max_tokens: 0 })).choices[0];
    expect(scored.text).toBe(prompt);
    expect(scored.logprobs?.token_logprobs).toEqual(echoed.logprobs?.token_logprobs.slice(0, promptIds.length));
    const plainOnes = (await ask('/v1/completions', body)).choices[0];
    expect(plainOnes.logprobs?.token_logprobs).toEqual(echoed.logprobs?.token_logprobs.slice(promptIds.length));
    expect(plainOnes.logprobs?.text_offset).toEqual(offsets.slice(promptIds.length).map((at) => at - prompt.length));
  });

  it('lists the token that ended the text, which clients that score a prompt leave out', async () => {
    setUp();
    const [end] = tokenizer.endIds;
    const prompt = 'The quick brown';
    const ids = tokenizer.encodePrompt(prompt);
    const model = new FakeTokenModel({ vocabSize: 290 });
    const wanted = logprobsOf(Float32Array.from(model.logitsOf(ids, {})), end, 1);
    const body = { prompt, temperature: 0, max_tokens: 1, logprobs: 1, logit_bias: { [end]: 100 } };
    const [echoed] = (await ask('/v1/completions', { ...body, echo: true })).choices;
    expect([echoed.text, echoed.finish_reason]).toEqual([prompt, 'stop']);
    expect(echoed.logprobs?.token_logprobs).toHaveLength(ids.length + 1);
    expect(echoed.logprobs?.token_logprobs.at(-1)).toBeCloseTo(wanted.logprob, 6);
    const [alone] = (await ask('/v1/completions', body)).choices;
    expect(alone.logprobs).toMatchObject({ tokens: [`token_id:${end}`], text_offset: [0] });
    for (const { tokens, top_logprobs } of [echoed.logprobs!, alone.logprobs!]) {
      tokens.forEach((name, i) => {
        expect(top_logprobs[i] === null || Object.keys(top_logprobs[i]).every((key) => key !== '')).toBe(true);
        expect(name).not.toBe('');
      });
    }
    const streamed = await stream('/v1/completions', body);
    expect(streamed.flatMap(({ choices }) => choices[0].logprobs?.token_logprobs ?? [])).toEqual(
      alone.logprobs?.token_logprobs,
    );
    const messages = [{ role: 'user', content: 'The fox?' }];
    const silent = { messages, temperature: 0, max_tokens: 4, logprobs: true, logit_bias: { [end]: 100 } };
    expect((await ask('/v1/chat/completions', silent)).choices[0].logprobs).toEqual({ content: [], refusal: null });
  });

  it('counts places in characters, an emoji as one', async () => {
    setUp();
    const body = { prompt: 'a🦊b', temperature: 0, max_tokens: 0, logprobs: 0, echo: true };
    const { logprobs } = (await ask('/v1/completions', body)).choices[0];
    const ids = tokenizer.encodePrompt('a🦊b');
    expect(textOf(ids.slice(-1))).toBe('b');
    expect(logprobs?.text_offset.at(-1)).toBe(2);
  });

  it('takes the seeds of requests that give none from the server', async () => {
    setUp();
    const body = { prompt: 'The fox', max_tokens: 9 };
    const seeded = await ask('/v1/completions', { ...body, seed: 12345 });
    expect((await ask('/v1/completions', body)).choices[0].text).toBe(seeded.choices[0].text);
  });

  it('answers many at once as each alone', async () => {
    setUp({ fake: { maxSequences: 3, maxBatchTokens: 8 } });
    const bodies = Array.from({ length: 40 }, (_, i) => ({
      prompt: `The ${['fox', 'dog', 'quick', 'lazy'][i % 4]} ${'jumps '.repeat(i % 7)}`,
      max_tokens: 1 + (i % 11),
      ...(i % 2 ? { temperature: 0 } : { seed: i }),
      ...(i % 3 === 0 && { sparsity: 0.5 }),
    }));
    const together = await Promise.all(
      bodies.map(async (body, i) => {
        if (i % 5) return (await ask('/v1/completions', body)).choices[0].text;
        const chunks = await stream('/v1/completions', body);
        return chunks.map(({ choices }) => choices[0].text).join('');
      }),
    );
    for (const [i, body] of bodies.entries()) {
      expect((await ask('/v1/completions', body)).choices[0].text).toBe(together[i]);
    }
  });
});

describe('/v1/chat/completions', () => {
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'The fox ' },
        { type: 'text', text: 'runs?' },
      ],
    },
  ];
  const prompt = 'Be brief.\n\nUser: The fox runs?\nAssistant:';

  it('answers a conversation in the form of the template', async () => {
    setUp();
    const answer = await ask('/v1/chat/completions', {
      model: 'fake',
      messages,
      temperature: 0,
      max_completion_tokens: 8,
    });
    const content = textOf(plain(prompt, { temperature: 0 }, 8)).replace(/^ +/, '');
    expect(answer.choices[0].message).toEqual({ role: 'assistant', content, refusal: null });
    const chunks = await stream('/v1/chat/completions', { messages, temperature: 0, max_tokens: 8 });
    expect(chunks[0].choices[0].delta).toEqual({ role: 'assistant', content: '' });
    expect(chunks.map(({ choices }) => choices[0].delta.content ?? '').join('')).toBe(content);
  });

  it('gives log-probabilities by token with their bytes', async () => {
    setUp();
    const body = { messages, temperature: 0, max_tokens: 4, logprobs: true, top_logprobs: 2 };
    const { content } = (await ask('/v1/chat/completions', body)).choices[0].logprobs!;
    const ids = plain(prompt, { temperature: 0 }, 4);
    expect(content.map(({ token }) => token)).toEqual(ids.map((id) => textOf([id])));
    for (const { token, bytes, logprob, top_logprobs } of content) {
      expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(token);
      expect(top_logprobs).toHaveLength(2);
      expect(top_logprobs[0].logprob).toBeCloseTo(logprob, 6); // greedy: the chosen one is the first
    }
  });

  it('says that a model has no template', async () => {
    setUp({ chatForm: null });
    const { error } = await ask('/v1/chat/completions', { messages }, 400);
    expect(error).toMatchObject({ type: 'invalid_request_error', code: 'no_chat_template', param: 'messages' });
  });

  it('ends an answer where the form does', async () => {
    setUp();
    const whole = (await ask('/v1/chat/completions', { messages, temperature: 0, max_tokens: 8 })).choices[0].message
      .content;
    source = fakeSource('fake', { chatForm: { ...chatForm, stop: [whole.slice(3, 5)] } });
    server.registry.dispose();
    server = fakeServer([source]);
    const cut = (await ask('/v1/chat/completions', { messages, temperature: 0, max_tokens: 8 })).choices[0];
    expect(cut).toMatchObject({
      finish_reason: 'stop',
      message: { content: whole.slice(0, whole.indexOf(whole.slice(3, 5))) },
    });
  });
});

describe('requests that are wrong', () => {
  const cases: [name: string, body: object, wanted: object][] = [
    ['no prompt', {}, { param: 'prompt' }],
    [
      'a misspelt field',
      { prompt: 'a', temprature: 1 },
      { code: 'unknown_field', message: 'Unknown field "temprature". Did you mean "temperature"?' },
    ],
    ['a field inside', { prompt: 'a', qsparse: { detail: true } }, { param: 'qsparse.detail' }],
    [
      'another kind',
      { prompt: 'a', temperature: 'hot' },
      { param: 'temperature', message: 'temperature: expected a number from 0 to 2, got "hot".' },
    ],
    ['out of range', { prompt: 'a', top_p: 1.5 }, { param: 'top_p' }],
    ['no whole number', { prompt: 'a', max_tokens: 1.5 }, { param: 'max_tokens' }],
    ['a bias of no token', { prompt: 'a', logit_bias: { 290: 1 } }, { param: 'logit_bias' }],
    ['an id of no token', { prompt: [290] }, { param: 'prompt' }],
    ['too many texts', { prompt: ['a', 'b'], n: 33 }, { param: 'n' }],
    ['a sparsity of 1', { prompt: 'a', sparsity: 1 }, { param: 'sparsity' }],
    ['a point that there is not', { prompt: 'a', sparsity: { up: 0.5 } }, { param: 'sparsity.up' }],
    ['shares of more layers than there are', { prompt: 'a', sparsity: { qkv: [0, 0, 0] } }, { param: 'sparsity' }],
    ['an empty stop', { prompt: 'a', stop: '' }, { param: 'stop' }],
    ['what is not supported', { prompt: 'a', best_of: 2 }, { param: 'best_of' }],
    [
      'a prompt of more tokens than the context',
      { prompt: 'the dog '.repeat(50) },
      { code: 'context_length_exceeded' },
    ],
    ['a prompt that need not be encoded', { prompt: 'x'.repeat(64 * 64 + 1) }, { code: 'context_length_exceeded' }],
  ];

  it.each(cases)('%s', async (_, body, wanted) => {
    setUp();
    const { error } = await ask('/v1/completions', body, 400);
    expect(error).toMatchObject({ type: 'invalid_request_error', ...wanted });
    expect(error.message).not.toMatch(/\n|at .*\.ts/);
  });

  const stops = (texts: readonly string[]) => ({ prompt: 'a', max_tokens: 1, stop: texts });
  const limits: [what: string, limit: number, body: (count: number) => object, wanted: string][] = [
    [
      'messages',
      MOST_MESSAGES,
      (count) => ({ messages: new Array(count).fill({ role: 'user', content: 'a' }) }),
      `a list of 1 to ${MOST_MESSAGES} messages`,
    ],
    [
      'parts of a message',
      MOST_PARTS,
      (count) => ({ messages: [{ role: 'user', content: new Array(count).fill({ type: 'text', text: 'a' }) }] }),
      'messages.0.content: expected',
    ],
    ['stops', MOST_STOPS, (count) => stops(new Array(count).fill('zzz')), `at most ${MOST_STOPS} texts`],
    [
      'characters of a stop',
      MOST_STOP_CHARACTERS,
      (count) => stops(['z'.repeat(count)]),
      `a text of 1 to ${MOST_STOP_CHARACTERS} characters`,
    ],
    [
      'biases',
      MOST_BIASES,
      (count) => ({ prompt: 'a', logit_bias: Object.fromEntries(Array.from({ length: count }, (_, id) => [id, 1])) }),
      `at most ${MOST_BIASES} tokens`,
    ],
    ['probabilities', MOST_LOGPROBS, (count) => ({ prompt: 'a', logprobs: count }), `from 0 to ${MOST_LOGPROBS}`],
    [
      'layers',
      MOST_LAYERS,
      (count) => ({ prompt: 'a', sparsity: { qkv: new Array(count).fill(0) } }),
      'sparsity: expected a share of at least 0',
    ],
  ];

  it.each(limits)('more %s than the limit, and not as many', async (_, limit, body, wanted) => {
    setUp();
    const path = 'messages' in body(1) ? '/v1/chat/completions' : '/v1/completions';
    const { error } = await ask(path, body(limit + 1), 400);
    expect(error.message).toContain(wanted);
    const response = await server.post(path, body(limit));
    expect(await response.text()).not.toContain(wanted);
  });

  it('names an unknown model with the nearest', async () => {
    setUp();
    const { error } = await ask('/v1/completions', { model: 'fke', prompt: 'a' }, 404);
    expect(error).toMatchObject({
      code: 'model_not_found',
      param: 'model',
      message: expect.stringContaining('Did you mean "fake"?'),
    });
  });

  it('refuses bodies that are no JSON, of another type, or too large', async () => {
    setUp();
    for (const body of ['', '{', 'null', '[]', '"text"', '1'])
      expect((await server.post('/v1/completions', body)).status).toBe(400);
    const typed = await server.post('/v1/completions', { prompt: 'a' }, { headers: { 'content-type': 'text/plain' } });
    expect(typed.status).toBe(415);
    const large = await server.post('/v1/completions', { prompt: 'x'.repeat(3 * 2 ** 20) });
    expect(large.status).toBe(413);
    expect(((await large.json()) as Body).error.code).toBe('body_too_large');
  });
});
