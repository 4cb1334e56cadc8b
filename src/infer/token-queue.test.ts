import { describe, expect, it } from 'vitest';
import { TokenQueue } from './token-queue.ts';

const queueOf = (onReturn = () => {}) => new TokenQueue(3, onReturn);

describe('TokenQueue', () => {
  it('gives tokens in their order, those that were waited for and those that waited', async () => {
    const queue = queueOf();
    const [first, second] = [queue.next(), queue.next()];
    for (const id of [5, 6, 7, 8]) queue.push({ id });
    queue.end('length');
    const rest = [await queue.next(), await queue.next()];
    expect([await first, await second, ...rest].map(({ value }) => value)).toEqual([5, 6, 7, 8].map((id) => ({ id })));
    for (let i = 0; i < 2; i++) expect(await queue.next()).toEqual({ done: true, value: 'length' });
  });

  it('lets every waiting reader go at the end', async () => {
    const queue = queueOf();
    const readers = [queue.next(), queue.next()];
    queue.end('stop');
    expect(await Promise.all(readers)).toEqual([0, 1].map(() => ({ done: true, value: 'stop' })));
    const failing = queueOf();
    const waiting = failing.next();
    failing.fail(new Error('broken'));
    await expect(waiting).rejects.toThrow('broken');
  });

  it('throws an error behind the tokens before it, and again', async () => {
    const queue = queueOf();
    queue.push({ id: 1 });
    queue.fail(new Error('broken'));
    queue.end('stop'); // too late
    expect((await queue.next()).value).toEqual({ id: 1 });
    for (let i = 0; i < 2; i++) await expect(queue.next()).rejects.toThrow('broken');
  });

  it('is no unhandled rejection where nobody reads', async () => {
    let unhandled = 0;
    const onUnhandled = () => unhandled++;
    process.on('unhandledRejection', onUnhandled);
    queueOf().fail(new Error('broken'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toBe(0);
  });

  it('tells once that its reader stopped, and forgets what was left', async () => {
    let returned = 0;
    const queue = queueOf(() => returned++);
    for (const id of [1, 2, 3]) queue.push({ id });
    for await (const { id } of queue) if (id === 2) break;
    queue.push({ id: 4 });
    expect(await queue.next()).toEqual({ done: true, value: 'aborted' });
    await queue.return();
    expect(returned).toBe(1);
  });
});
