import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadBodies, loadServer, percentiles, summarise } from './load-clients.mjs';

/** Answers with the prompt's words, one a piece; breaks off, or refuses, where the prompt says so. */
const server = createServer(async (request, response) => {
  let body = '';
  for await (const data of request) body += data;
  const { prompt } = JSON.parse(body);
  if (prompt.includes('refuse')) return response.writeHead(429).end('{"error":{}}');
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  // In two writes that end in the middle of an event.
  const events = [...prompt.split(' ').map((text) => JSON.stringify({ choices: [{ text }] })), '[DONE]'];
  const text = events.map((data) => `data: ${data}\n\n`).join('');
  if (prompt.includes('break')) return response.write(text.slice(0, -20), () => response.end());
  response.write(text.slice(0, 25));
  setTimeout(() => response.end(text.slice(25)), 5);
});
let url;
beforeAll(async () => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${server.address().port}`;
});
afterAll(() => server.close());

describe('loadServer', () => {
  it('reads every text of every client, and tells what is lost', async () => {
    const bodies = ['a b c', 'refuse', 'd e', 'break it'].map((prompt) => ({ prompt }));
    const load = await loadServer({ url, bodies, clients: 3, requests: 9 });
    const sorted = load.records.sort((a, b) => a.body - b.body);
    expect(sorted.map(({ body }) => body)).toEqual([0, 0, 0, 1, 1, 2, 2, 3, 3]);
    expect(sorted.map(({ text, pieces }) => [text, pieces])[0]).toEqual(['abc', 3]);
    const summary = summarise(load, ['abc', null, 'other', null]);
    expect(summary).toMatchObject({ requests: 9, lost: 4, mixedUp: 2, pieces: 13 });
    expect(summary.errors).toEqual(expect.arrayContaining(['the stream ended before [DONE]', '429: {"error":{}}']));
    expect(sorted[0].gapsMs).toHaveLength(2);
  });
});

describe('percentiles', () => {
  it('are values that occurred', () => {
    expect(percentiles(Array.from({ length: 200 }, (_, i) => 200 - i))).toEqual({ p50: 100, p99: 198, max: 200 });
    expect(percentiles([7])).toEqual({ p50: 7, p99: 7, max: 7 });
    expect(percentiles([])).toEqual({ p50: null, p99: null, max: null });
  });
});

describe('loadBodies', () => {
  it('are greedy and seeded, and all different', () => {
    const bodies = loadBodies('m', 64);
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(16);
    expect(bodies.filter(({ temperature }) => temperature === 0)).toHaveLength(8);
  });
});
