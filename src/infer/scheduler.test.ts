import { getEventListeners, setMaxListeners } from 'node:events';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  collect,
  type FakeOptions,
  FakeTokenModel,
  hashedLogits,
  plainTokens,
} from '../../test/support/fake-token-model.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import { BusyError, UsageError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import { logprobsOf } from './logprobs.ts';
import { Sampler } from './sampler.ts';
import { type ScheduledOptions, Scheduler, type SchedulerOptions } from './scheduler.ts';
import { Speculation } from './speculation.ts';
import type { TokenStream } from './token-queue.ts';

const greedy = () => new Sampler({ temperature: 0 });
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const made: { model: FakeTokenModel; scheduler: Scheduler }[] = [];

function setUp(fake: FakeOptions = {}, options: SchedulerOptions = {}) {
  const model = new FakeTokenModel(fake);
  const scheduler = new Scheduler(model, options);
  made.push({ model, scheduler });
  const generate = (promptIds: number[], rest: Partial<ScheduledOptions> = {}) =>
    scheduler.generate(promptIds, { sampler: greedy(), ...rest });
  return { model, scheduler, generate };
}

afterEach(() => {
  for (const { model, scheduler } of made.splice(0)) {
    scheduler.dispose();
    expect(model.live.size).toBe(0);
    expect(model.breaches).toEqual([]);
  }
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turnEventLoop();
}

describe('batches', () => {
  it('decode first, then prompts in chunks, the oldest first', async () => {
    const { model, generate } = setUp({ maxBatchTokens: 8, maxSequences: 3 }, { reusePrefixes: false });
    const streams = [10, 6, 3, 2].map((length) => generate(upTo(length), { maxTokens: 3 }));
    await Promise.all(streams.map(collect));
    expect(model.runs).toEqual([
      [8], // the first prompt
      [2, 6], // its rest, and the second
      [1, 1, 3], // two decode; the third prompt
      [1, 1, 1], // the first two are through
      [1, 2], // the fourth took a place that was free
      [1],
      [1],
    ]);
  });

  it('advance every text and the oldest prompt in every step, however few tokens fit', async () => {
    const { model, generate } = setUp({ maxBatchTokens: 2, maxSequences: 4 });
    const short = generate([1], { maxTokens: 12 });
    const long = generate(upTo(8), { maxTokens: 2 });
    const waiting = generate([2], { maxTokens: 1 });
    await Promise.all([short, long, waiting].map(collect));
    expect(model.runs.slice(0, 9)).toEqual([[1, 1], ...upTo(7).map(() => [1, 1]), [1, 1]]);
  });

  it('hold no more sequences than tokens', async () => {
    const { model, generate } = setUp({ maxBatchTokens: 2, maxSequences: 4 });
    await Promise.all(upTo(4).map((id) => collect(generate([id], { maxTokens: 4 }))));
    expect(Math.max(...model.runs.map((run) => run.length))).toBe(2);
  });

  it('gather what was asked for in one go', async () => {
    const { model, generate } = setUp({ maxBatchTokens: 8, maxSequences: 3 });
    await Promise.all([generate([1, 2]), generate([3]), generate([4])].map((stream) => stream.next()));
    expect(model.runs[0].sort()).toEqual([1, 1, 2]);
  });

  it('let the event loop turn between two runs', async () => {
    const { model, generate } = setUp();
    let turn = 0;
    const tick = () => {
      turn++;
      timer = setImmediate(tick);
    };
    let timer = setImmediate(tick);
    const at: number[] = [];
    model.beforeRun = () => at.push(turn);
    await collect(generate([1], { maxTokens: 20 }));
    clearImmediate(timer);
    expect(at).toHaveLength(20);
    expect(new Set(at).size).toBe(20);
  });

  it('keep within smaller limits of the scheduler', async () => {
    const { model, generate } = setUp({ maxBatchTokens: 8, maxSequences: 4 }, { maxBatchTokens: 3, maxSequences: 2 });
    await Promise.all(upTo(6).map((i) => collect(generate(upTo(7, i), { maxTokens: 5 }))));
    expect(Math.max(...model.runs.map((run) => run.reduce((a, b) => a + b)))).toBe(3);
    expect(model.mostLive).toBe(2);
  });
});

describe('requests', () => {
  it('count and time what they used', async () => {
    const { generate } = setUp();
    const stream = generate(upTo(10), { maxTokens: 4 });
    await collect(stream);
    const { queueMs, promptMs, generateMs, ...counts } = stream.usage;
    expect(counts).toEqual({
      ...{ promptTokens: 10, cachedTokens: 0, tokens: 4, draftedTokens: 0, acceptedTokens: 0 },
      ...{ ranTokens: 13, sparsity: Number.NaN },
    });
    for (const ms of [queueMs, promptMs, generateMs]) expect(ms).toBeGreaterThan(0);
  });

  it('count drafts, of which only the refused ones run for nothing', async () => {
    const speculation = new Speculation({ costOf: () => 1 });
    const { model, generate } = setUp({ maxTokens: 80, maxBatchTokens: 20, logitsOf: repeating }, { speculation });
    const stream = generate([1, 2, 3, 1, 2, 3], { maxTokens: 60 });
    await collect(stream);
    const { draftedTokens, acceptedTokens } = stream.usage;
    expect(acceptedTokens).toBeGreaterThan(20);
    expect(draftedTokens).toBeGreaterThan(acceptedTokens + 5);
    expect(model.tokens).toBe(6 + 59 + (draftedTokens - acceptedTokens));
  });

  it('are refused before anything changes', async () => {
    const { model, scheduler, generate } = setUp({ maxTokens: 12 });
    expect(() => generate([])).toThrow(UsageError);
    expect(() => generate(upTo(13))).toThrow('at most 12 tokens (the context), got 13');
    expect(() => generate([23])).toThrow('outside the vocabulary');
    expect(() => generate([1], { maxTokens: -1 })).toThrow('maxTokens');
    const sampler = greedy();
    generate([1], { sampler });
    expect(() => generate([2], { sampler })).toThrow('the sampler is in use');
    expect(scheduler.counts).toEqual({ queued: 1, running: 0, kept: 0 });
    expect(model.live.size).toBe(0);
  });

  it('as long as the context give one token; none where none is wanted', async () => {
    const { generate } = setUp({ maxTokens: 12 });
    expect((await collect(generate(upTo(12)))).reason).toBe('context');
    expect(await collect(generate(upTo(3), { maxTokens: 0 }))).toEqual({ ids: [], reason: 'length' });
  });

  it('beyond the queue are refused with BusyError', async () => {
    const { scheduler, generate } = setUp({ maxSequences: 1 }, { maxQueued: 2 });
    const first = generate([1], { maxTokens: 30 });
    await first.next(); // runs
    const others = [generate([2], { maxTokens: 2 }), generate([3], { maxTokens: 2 })];
    const abort = new AbortController();
    expect(() => generate([4], { signal: abort.signal })).toThrow(BusyError);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    expect(scheduler.counts).toMatchObject({ queued: 2, running: 1 });
    for (const stream of others) expect((await collect(stream)).ids).toHaveLength(2);
  });

  it('that find a free place do not wait, however short the queue is', async () => {
    const { scheduler, generate } = setUp({ maxSequences: 3 }, { maxQueued: 1 });
    const streams = upTo(4).map((i) => generate([i], { maxTokens: 2 }));
    expect(() => generate([5])).toThrow(BusyError);
    for (const stream of streams) expect((await collect(stream)).ids).toHaveLength(2);
    expect(scheduler.counts).toMatchObject({ queued: 0, running: 0 });
  });

  it('do not follow their caller’s arrays', async () => {
    const { model, generate } = setUp();
    const promptIds = [1, 2, 3];
    const stream = generate(promptIds, { maxTokens: 3 });
    promptIds[0] = 9;
    const expected = plainTokens(model, { promptIds: [1, 2, 3], sampler: greedy(), maxTokens: 3 });
    expect(await collect(stream)).toEqual(expected);
  });

  it('wait for no reader', async () => {
    const { scheduler, generate } = setUp({ maxSequences: 1 });
    const unread = generate([1], { maxTokens: 5 });
    await collect(generate([2], { maxTokens: 2 }));
    expect(scheduler.counts.running).toBe(0);
    expect((await collect(unread)).ids).toHaveLength(5);
  });
});

describe('the end of a request', () => {
  /** Waits until the request is where it should be, ends it, and says what is left. */
  async function abortAt(steps: number, end: (abort: AbortController, stream: TokenStream) => unknown) {
    const { model, scheduler, generate } = setUp({ maxSequences: 1, maxBatchTokens: 4 }, { reusePrefixes: false });
    const other = generate([5], { maxTokens: 2 });
    const abort = new AbortController();
    const stream = generate(upTo(14), { maxTokens: 20, signal: abort.signal });
    const reader = stream.next();
    await turns(steps);
    const { queued, running } = scheduler.counts;
    end(abort, stream);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    if (running === 1 && queued === 0) expect(model.live.size).toBe(0);
    await collect(other);
    await turns(2);
    expect(model.live.size).toBe(0);
    expect(scheduler.counts).toEqual({ queued: 0, running: 0, kept: 0 });
    return { reader: await reader, rest: await collect(stream), runs: model.runs };
  }

  for (const [how, end] of Object.entries({
    signal: (abort: AbortController) => abort.abort(),
    return: (_: AbortController, stream: TokenStream) => stream.return(),
  })) {
    it(`by ${how}: in the queue, in the prompt, in the text`, async () => {
      const queued = await abortAt(0, end);
      expect(queued).toEqual({
        reader: { done: true, value: 'aborted' },
        rest: { ids: [], reason: 'aborted' },
        runs: [[1], [1]],
      });
      const prompt = await abortAt(4, end);
      expect(prompt.reader.done).toBe(true);
      expect(prompt.runs).toEqual([[1], [1], [4], [4]]);
      const text = await abortAt(8, end);
      expect(text.reader.done).toBe(false);
      expect(text.rest.reason).toBe('aborted');
      expect(text.runs).toEqual([[1], [1], [4], [4], [4], [2], [1], [1]]);
    });
  }

  it('a signal that was aborted before begins nothing', async () => {
    const { scheduler, generate } = setUp();
    const signal = AbortSignal.abort();
    expect(await collect(generate([1], { signal }))).toEqual({ ids: [], reason: 'aborted' });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(scheduler.counts).toEqual({ queued: 0, running: 0, kept: 0 });
  });

  describe('inside a callback of a sampler: when the step is over', () => {
    /** Two texts with drafts, most of them right, some wrong; `end` is called before token `at` of the first is chosen. */
    async function run(
      at: number,
      reusePrefixes: boolean,
      end: (scheduler: Scheduler, own: AbortController, other: AbortController) => void,
    ) {
      const speculation = new Speculation({ costOf: () => 1 });
      const fake = { maxTokens: 60, maxBatchTokens: 20, logitsOf: repeating };
      const { model, scheduler, generate } = setUp(fake, { speculation, reusePrefixes });
      const [own, other] = [new AbortController(), new AbortController()];
      const allowed = ({ length }: readonly number[]) => {
        if (length === at) end(scheduler, own, other);
        return null;
      };
      const sampler = new Sampler({ temperature: 0, allowed });
      const streams = [
        generate([1, 2, 3, 1, 2, 3], { sampler, signal: own.signal, maxTokens: 30 }),
        generate([4, 5, 6, 4, 5, 6], { signal: other.signal, maxTokens: 30 }),
      ];
      const [first, second] = await Promise.all(streams.map(collect));
      const { draftedTokens, acceptedTokens } = streams[0].usage;
      expect(draftedTokens).toBeGreaterThan(acceptedTokens);
      await turns(1);
      expect(model.breaches).toEqual([]);
      const kept = model.live.size;
      return [...[first, second].map(({ reason, ids }) => `${reason} ${ids.length === 30}`), kept];
    }
    for (const reusePrefixes of [true, false]) {
      it(`its own request, another's, and the scheduler; prefixes ${reusePrefixes ? 'kept' : 'released'}`, async () => {
        const both = reusePrefixes ? 2 : 0;
        for (const at of [12, 13, 14, 15, 16, 17, 18, 19]) {
          const ended = (end: (...args: [Scheduler, AbortController, AbortController]) => void) =>
            run(at, reusePrefixes, end);
          expect(await ended((_, own) => own.abort())).toEqual(['aborted false', 'length true', both]);
          expect(await ended((_, __, other) => other.abort())).toEqual(['length true', 'aborted false', both]);
          expect(await ended((scheduler) => scheduler.dispose())).toEqual(['aborted false', 'aborted false', 0]);
        }
      });
    }
  });

  it('dispose ends all and gives everything back', async () => {
    const { model, scheduler, generate } = setUp({ maxSequences: 2 });
    await collect(generate([9, 9], { maxTokens: 2 }));
    const streams = upTo(4).map((i) => generate([i, i, i], { maxTokens: 30 }));
    const readers = streams.map(collect);
    await turns(3);
    expect(scheduler.counts).toMatchObject({ queued: 2, running: 2 });
    scheduler.dispose();
    expect(model.live.size).toBe(0);
    for (const { reason } of await Promise.all(readers)) expect(reason).toBe('aborted');
    expect(() => generate([1])).toThrow('disposed');
  });

  it('of 1,000 aborted requests leaves nothing', async () => {
    const { model, scheduler, generate } = setUp({ maxSequences: 4, maxBatchTokens: 6 }, { maxQueued: 1000 });
    const prng = new Prng(1);
    const shared = new AbortController();
    setMaxListeners(0, shared.signal);
    const controllers: AbortController[] = [];
    const ends: Promise<unknown>[] = [];
    for (let i = 0; i < 1000; i++) {
      const abort = new AbortController();
      controllers.push(abort);
      const signal = i % 10 === 0 ? shared.signal : abort.signal;
      const stream = generate(upTo(1 + prng.below(20)), { sampler: new Sampler({ seed: i }), maxTokens: 15, signal });
      if (i % 3 === 0) ends.push(collect(stream));
      else if (i % 3 === 1) ends.push(stream.next());
      if (prng.below(2) === 0) await turnEventLoop();
      const victim = prng.below(controllers.length);
      if (prng.below(4) === 0) void stream.return();
      else controllers[victim].abort();
    }
    for (const abort of controllers) abort.abort();
    shared.abort();
    await Promise.all(ends); // no promise is left open
    for (const { signal } of [shared, ...controllers]) expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(scheduler.counts).toMatchObject({ queued: 0, running: 0 });
    expect(model.live.size).toBe(scheduler.counts.kept);
    expect(model.mostLive).toBe(4);
    scheduler.dispose();
    expect(model.live.size).toBe(0);
  }, 60_000);
});

/** The next id is the one three places before, but for every seventh: a text that repeats itself with changes. */
const repeating = (ids: readonly number[]) => {
  const next = ids.length % 7 === 0 ? ids.length % 23 : ids[ids.length - 3];
  return Float32Array.from({ length: 23 }, (_, id) => (id === next ? 9 : 0));
};

describe('errors of the model', () => {
  it('fail the requests of the batch, whose sequences are released, and no others', async () => {
    const { model, scheduler, generate } = setUp({ maxSequences: 2 });
    const streams = [[1], [2], [3]].map((ids) => generate(ids, { maxTokens: 3 }));
    model.beforeRun = () => {
      if (model.runs.length !== 1) return;
      model.beforeRun = () => {};
      throw new Error('out of order');
    };
    const [first, second, third] = await Promise.allSettled(streams.map(collect));
    expect(first).toMatchObject({ status: 'rejected', reason: new Error('out of order') });
    expect(second.status).toBe('rejected');
    expect(third).toMatchObject({ status: 'fulfilled', value: { reason: 'length' } });
    expect(scheduler.counts).toEqual({ queued: 0, running: 0, kept: 1 });
    expect(model.live.size).toBe(1);
  });

  it('that leave everything as it was fail only those that are refused', async () => {
    const { model, generate } = setUp({ maxSequences: 3 });
    model.beforeRun = (batch) => {
      if (batch.some(({ ids }) => ids.includes(13))) throw new UsageError('fake', 'I do not like 13.');
    };
    const requests = [
      [1, 2],
      [4, 13],
      [5, 6],
    ];
    const streams = requests.map((promptIds) => generate(promptIds, { maxTokens: 6, stopIds: [13] }));
    const settled = await Promise.allSettled(streams.map(collect));
    expect(settled[1]).toMatchObject({ status: 'rejected', reason: { where: 'fake' } });
    for (const i of [0, 2]) {
      const value = plainTokens(model, { promptIds: requests[i], sampler: greedy(), maxTokens: 6, stopIds: [13] });
      expect(settled[i]).toEqual({ status: 'fulfilled', value });
    }
  });

  it('in creating a sequence, and of a sampler, fail that request alone', async () => {
    const hashed = hashedLogits(23);
    const logitsOf = (ids: readonly number[]) =>
      ids[0] === 7 ? new Float32Array(23).fill(Number.NaN) : hashed(ids, {});
    const { model, generate } = setUp({ logitsOf });
    const streams = [generate([7], {}), generate([1], { sparsity: 2 }), generate([2], { maxTokens: 4 })];
    const settled = await Promise.allSettled(streams.map(collect));
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    expect(model.live.size).toBe(1);
  });

  it('a cost of speculation that is none fails requests instead of leaving them', async () => {
    const { model, generate } = setUp({}, { speculation: new Speculation({ costOf: () => Number.NaN }) });
    await expect(collect(generate([1], { maxTokens: 3 }))).rejects.toThrow('costOf(1)');
    expect(model.live.size).toBe(0);
  });
});

describe('prefixes', () => {
  it('of ended requests run once', async () => {
    const { model, generate } = setUp({ maxSequences: 2, maxTokens: 60, maxBatchTokens: 60 });
    const first = await collect(generate(upTo(10), { maxTokens: 6 }));
    const said = [...upTo(10), ...first.ids];
    expect(model.tokens).toBe(15); // the last token has not run
    const next = generate([...said, 3, 4], { maxTokens: 1 });
    const expected = plainTokens(model, { promptIds: [...said, 3, 4], sampler: greedy(), maxTokens: 1 });
    expect(await collect(next)).toEqual(expected);
    expect(next.usage.cachedTokens).toBe(15);
    expect(model.tokens).toBe(15 + 3);
    const again = generate([...said, 3, 4], { maxTokens: 1 });
    expect(await collect(again)).toEqual(expected);
    expect(again.usage.cachedTokens).toBe(17);
  });

  it('of another sparsity are not taken', async () => {
    const { model, generate } = setUp();
    await collect(generate(upTo(5), { maxTokens: 1 }));
    const stream = generate(upTo(5), { maxTokens: 4, sparsity: 0.5 });
    const options = { sparsity: 0.5 };
    const expected = plainTokens(model, { promptIds: upTo(5), sampler: greedy(), maxTokens: 4, options });
    expect(await collect(stream)).toEqual(expected);
    expect(stream.usage.cachedTokens).toBe(0);
  });

  it('make room for what is new, the least recently used first', async () => {
    const { scheduler, generate } = setUp({ maxSequences: 2 });
    const cached = async (promptIds: number[]) => {
      const stream = generate(promptIds, { maxTokens: 1 });
      await collect(stream);
      return stream.usage.cachedTokens;
    };
    const [a, b, c] = [upTo(5), upTo(5, 6), upTo(5, 12)];
    expect([await cached(a), await cached(b), await cached(a)]).toEqual([0, 0, 4]);
    expect(await cached(c)).toBe(0); // b goes
    expect([await cached(a), await cached(b)]).toEqual([4, 0]);
    expect(scheduler.counts.kept).toBe(2);
  });

  it('that the model cannot go back to run again', async () => {
    const { model, generate } = setUp({ maxSequences: 1 });
    await collect(generate(upTo(10), { maxTokens: 4 }));
    model.oldestTruncation = 8;
    const stream = generate([...upTo(5), 9], { maxTokens: 4 });
    const expected = plainTokens(model, { promptIds: [...upTo(5), 9], sampler: greedy(), maxTokens: 4 });
    expect(await collect(stream)).toEqual(expected);
    expect(stream.usage.cachedTokens).toBe(0);
  });

  it('are released at once where they are not reused', async () => {
    const { model, scheduler, generate } = setUp({}, { reusePrefixes: false });
    await collect(generate(upTo(5), { maxTokens: 2 }));
    expect(model.live.size).toBe(0);
    expect(scheduler.counts.kept).toBe(0);
  });
});

describe('every request gives what it gives alone', () => {
  const stems = [upTo(9), upTo(9, 4), [...upTo(5), 17, 18]];
  const requestArbitrary = fc.record({
    stem: fc.nat(stems.length - 1),
    stemLength: fc.integer({ min: 1, max: 9 }),
    tail: fc.array(fc.nat(22), { maxLength: 6 }),
    maxTokens: fc.nat(12),
    stopIds: fc.array(fc.nat(22), { maxLength: 1 }),
    temperature: fc.constantFrom(0, 1),
    presencePenalty: fc.constantFrom(0, 0.7),
    seed: fc.nat(100),
    sparsity: fc.constantFrom<SparsityOverride | undefined>(undefined, undefined, 0.5),
    at: fc.nat(25),
    abortAt: fc.option(fc.nat(40), { freq: 4 }),
    byReturn: fc.boolean(),
  });
  const modelArbitrary = fc.record({
    maxSequences: fc.integer({ min: 1, max: 4 }),
    maxBatchTokens: fc.integer({ min: 1, max: 12 }),
    maxTokens: fc.integer({ min: 15, max: 24 }),
    repeats: fc.boolean(),
    marginalCost: fc.option(fc.double({ min: 0, max: 0.6, noNaN: true })),
    reusePrefixes: fc.boolean(),
  });

  /** Mostly repeats itself, but not quite, and not alike at every sparsity. */
  const logitsOf = (ids: readonly number[], { sparsity }: { sparsity?: SparsityOverride }) =>
    Float32Array.from({ length: 23 }, (_, id) =>
      id === ids.at(-4) ? 4 : ((id * 7 + ids.length) % 23) / (sparsity ? 5 : 7),
    );

  it('whatever else runs, waits, is aborted, is kept or is drafted', async () => {
    const property = fc.asyncProperty(
      modelArbitrary,
      fc.array(requestArbitrary, { maxLength: 12 }),
      async (shape, requests) => {
        const { repeats, marginalCost, reusePrefixes, ...limits } = shape;
        const model = new FakeTokenModel({ ...limits, ...(repeats ? { logitsOf } : {}) });
        const options: SchedulerOptions = { reusePrefixes };
        if (marginalCost !== null) {
          options.speculation = new Speculation({
            costOf: (tokens) => 1 + marginalCost * (tokens - 1),
            exploration: 1,
          });
        }
        const scheduler = new Scheduler(model, options);
        const jobs = requests.map(
          ({ stem, stemLength, tail, sparsity, at, abortAt, byReturn, maxTokens, stopIds, ...sampling }) => ({
            plain: { promptIds: [...stems[stem].slice(0, stemLength), ...tail], maxTokens, stopIds },
            sampler: () => new Sampler(sampling),
            sequence: sparsity === undefined ? {} : { sparsity },
            ...{ at, abortAt, byReturn, abort: new AbortController() },
            stream: null as TokenStream | null,
            collected: null as ReturnType<typeof collect> | null,
          }),
        );
        for (let turn = 0; turn <= 45; turn++) {
          for (const job of jobs) {
            if (job.at === turn) {
              const { promptIds, ...rest } = job.plain;
              const given = { ...rest, ...job.sequence, sampler: job.sampler(), signal: job.abort.signal };
              job.stream = scheduler.generate(promptIds, given);
              job.collected = collect(job.stream);
            }
            if (job.abortAt !== null && job.abortAt === turn) {
              if (job.byReturn) await job.stream?.return();
              else job.abort.abort();
            }
          }
          await turnEventLoop();
        }
        for (const job of jobs) {
          const got = (await job.collected) as NonNullable<Awaited<typeof job.collected>>;
          const expected = plainTokens(model, { ...job.plain, sampler: job.sampler(), options: job.sequence });
          if (got.reason === 'aborted') expect(expected.ids.slice(0, got.ids.length)).toEqual(got.ids);
          else expect(got).toEqual(expected);
          if (job.abortAt === null) expect(got.reason).not.toBe('aborted');
          expect(getEventListeners(job.abort.signal, 'abort')).toHaveLength(0);
        }
        expect(scheduler.counts).toMatchObject({ queued: 0, running: 0 });
        expect(model.live.size).toBe(scheduler.counts.kept);
        expect(model.mostLive).toBeLessThanOrEqual(limits.maxSequences);
        scheduler.dispose();
        expect(model.live.size).toBe(0);
      },
    );
    await fc.assert(property, { numRuns: 120 });
  }, 60_000);
});

it('refuses limits that are none', () => {
  const model = new FakeTokenModel();
  for (const value of [0, 1.5, Number.NaN]) {
    for (const name of ['maxQueued', 'maxSequences', 'maxBatchTokens']) {
      expect(() => new Scheduler(model, { [name]: value })).toThrow(`${name} must be a whole number`);
    }
  }
});

describe('clients', () => {
  it('take turns: many requests of one do not shut the others out', async () => {
    const { generate } = setUp({ maxSequences: 2 });
    const ended: string[] = [];
    const ask = async (client: string, i: number) => {
      await collect(generate([i], { maxTokens: 4, client }));
      ended.push(client);
    };
    await Promise.all([...upTo(6).map((i) => ask('many', i)), ask('one', 7), ask('other', 8)]);
    // Two places: whoever has none running goes first, though others came earlier.
    expect(ended).toEqual(['many', 'one', 'many', 'other', 'many', 'many', 'many', 'many']);
  });

  it('without names are one, in order', async () => {
    const { generate } = setUp({ maxSequences: 1 });
    const ended: number[] = [];
    await Promise.all(upTo(5).map((i) => collect(generate([i], { maxTokens: 2 })).then(() => ended.push(i))));
    expect(ended).toEqual(upTo(5));
  });
});

describe('log-probabilities of the prompt', () => {
  const prompt = upTo(70).map((i) => (i * 7) % 23);

  it('are those of the logits before each of its tokens, in whatever pieces it runs', async () => {
    const { model, scheduler } = setUp({ maxTokens: 100, maxBatchTokens: 48, maxSequences: 3 });
    const others = [scheduler.generate([3], { sampler: greedy(), maxTokens: 9 })];
    const stream = scheduler.generate(prompt, { sampler: greedy(), maxTokens: 3, promptLogprobs: 2 });
    const { ids } = await collect(stream);
    await Promise.all(others.map(collect));
    const wanted = prompt
      .slice(1)
      .map((id, i) => logprobsOf(Float32Array.from(model.logitsOf(prompt.slice(0, i + 1), {})), id, 2));
    expect(stream.promptLogprobs).toEqual(wanted);
    expect(ids).toEqual(plainTokens(model, { promptIds: prompt, sampler: greedy(), maxTokens: 3 }).ids);
    expect(Math.max(...model.runs.flat())).toBeLessThanOrEqual(32);
  });

  it('are there without any token, and although the prompt has run before', async () => {
    const { scheduler } = setUp({ maxTokens: 100, maxBatchTokens: 48 });
    const ask = async (maxTokens: number, promptIds = prompt) => {
      const stream = scheduler.generate(promptIds, { sampler: greedy(), maxTokens, promptLogprobs: 0 });
      const { ids, reason } = await collect(stream);
      return { ids, reason, logprobs: stream.promptLogprobs, cached: stream.usage.cachedTokens };
    };
    const first = await ask(2);
    const again = await ask(0);
    expect(again).toEqual({ ids: [], reason: 'length', logprobs: first.logprobs, cached: 0 });
    expect(await ask(0, [5])).toEqual({ ids: [], reason: 'length', logprobs: [], cached: 0 });
    expect((await ask(2, [5])).ids).toHaveLength(2);
    const plain = scheduler.generate(prompt, { sampler: greedy(), maxTokens: 2 });
    expect((await collect(plain)).ids).toEqual(first.ids);
    expect(plain.promptLogprobs).toBeNull();
  });
});
