import { describe, expect, it } from 'vitest';
import { serverSentEvents } from './server-sent-events.ts';

async function eventsOf(chunks: Uint8Array[]): Promise<string[]> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  const events: string[] = [];
  for await (const event of serverSentEvents(body)) events.push(event);
  return events;
}

const TEXT =
  ': a comment\r\ndata: {"a": "ü€"}\r\n\r\nevent: x\ndata:one\ndata: two\n\nid: 3\n\ndata: [DONE]\n\ndata: cut off';
const EXPECTED = ['{"a": "ü€"}', 'one\ntwo', '[DONE]'];

describe('serverSentEvents', () => {
  it('reads events however their bytes are divided', async () => {
    const bytes = new TextEncoder().encode(TEXT);
    for (const length of [1, 2, 3, 7, bytes.length]) {
      const chunks = [];
      for (let at = 0; at < bytes.length; at += length) chunks.push(bytes.subarray(at, at + length));
      expect(await eventsOf(chunks), `chunks of ${length}`).toEqual(EXPECTED);
    }
  });

  it('gives up where a line never ends', async () => {
    await expect(eventsOf([new Uint8Array(2 ** 22 + 10).fill(65)])).rejects.toThrow(/too long/);
  });
});
