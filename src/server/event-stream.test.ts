import { describe, expect, it } from 'vitest';
import { eventStream } from './event-stream.ts';

async function* counting(made: number[], until = Infinity): AsyncGenerator<string, void> {
  for (let i = 0; i < until; i++) {
    made.push(i);
    yield String(i);
  }
}

function watched(events: AsyncGenerator<string, void>, stalledMs = 60_000) {
  const left: string[] = [];
  let closed = 0;
  const stream = eventStream(events, { onLeave: (cause) => left.push(cause), onClose: () => closed++, stalledMs });
  return { stream, left, closed: () => closed };
}

describe('eventStream', () => {
  it('writes events and closes once', async () => {
    const { stream, left, closed } = watched(counting([], 3));
    expect(await new Response(stream).text()).toBe('data: 0\n\ndata: 1\n\ndata: 2\n\n');
    expect([left, closed()]).toEqual([[], 1]);
  });

  it('makes an event only when the one before was taken', async () => {
    const made: number[] = [];
    const { stream, left, closed } = watched(counting(made));
    const reader = stream.getReader();
    for (let i = 0; i < 3; i++) await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(made.length).toBeLessThanOrEqual(4);
    await reader.cancel();
    expect([left, closed()]).toEqual([['client'], 1]);
  });

  it('gives a reader up that takes nothing, not one that waits for an event', async () => {
    const stalled = watched(counting([]), 20);
    const reader = stalled.stream.getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([stalled.left, stalled.closed()]).toEqual([['stalled'], 1]);
    async function* late(): AsyncGenerator<string, void> {
      await new Promise((resolve) => setTimeout(resolve, 60));
      yield 'late';
    }
    const patient = watched(late(), 20);
    expect(await new Response(patient.stream).text()).toBe('data: late\n\n');
    expect(patient.left).toEqual([]);
  });
});
