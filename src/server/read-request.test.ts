import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ApiError } from './api-error.ts';
import { atMost, readRequest, unsupported } from './read-request.ts';

const request = (body: string, type = 'application/json') =>
  new Request('http://x/', { method: 'POST', body, headers: { 'content-type': type } });

async function errorOf(body: unknown, schema: z.ZodObject): Promise<ApiError> {
  const read = readRequest(request(JSON.stringify(body)), schema);
  return read.then(
    () => Promise.reject(new Error('it was taken')),
    (error: ApiError) => error,
  );
}

describe('readRequest', () => {
  it('takes JSON of any charset, and no other type', async () => {
    const schema = z.strictObject({ a: z.number() });
    expect(await readRequest(request('{"a":1}', 'application/json; charset=utf-8'), schema)).toEqual({ a: 1 });
    for (const type of ['text/plain', 'application/jsonx', '']) {
      await expect(readRequest(request('{"a":1}', type), schema)).rejects.toMatchObject({ status: 415 });
    }
  });

  it('names the first field that is wrong, with its place and what it is', async () => {
    const schema = z.strictObject({ list: z.array(z.strictObject({ a: z.number({ error: 'expected a number' }) })) });
    expect(await errorOf({ list: [{ a: 1 }, { a: 'x' }] }, schema)).toMatchObject({
      message: 'list.1.a: expected a number, got "x".',
      param: 'list.1.a',
    });
    expect(await errorOf({ list: [], more: 1 }, schema)).toMatchObject({ param: 'more', code: 'unknown_field' });
    expect((await errorOf({}, schema)).message).toMatch(/^list: .*, got nothing\.$/);
    expect((await errorOf({ list: 'y'.repeat(10_000) }, schema)).message.length).toBeLessThan(200);
  });

  it('lets a field that is not supported pass where it asks for nothing', async () => {
    const schema = z.strictObject({ tools: unsupported('calling tools', (value) => value === 'none') });
    for (const body of ['{}', '{"tools":null}', '{"tools":"none"}']) await readRequest(request(body), schema);
    expect((await errorOf({ tools: [1] }, schema)).message).toBe('tools: calling tools is not supported, got a list.');
  });
});

describe('atMost', () => {
  it('counts entries before it looks at any', () => {
    let looks = 0;
    const entry = z.custom<number>((value) => {
      looks++;
      return value === 1;
    });
    const list = atMost(3, z.array(entry), 'expected at most 3');
    expect(list.safeParse(Array(100_000).fill(2)).error?.issues).toHaveLength(1);
    expect(looks).toBe(0);
    expect(list.safeParse([1, 1, 1]).success).toBe(true);
    expect(list.safeParse([1, 2]).success).toBe(false);
    const record = atMost(2, z.record(z.string(), entry), 'expected at most 2');
    expect(record.safeParse({ a: 2, b: 2, c: 2 }).error?.issues).toHaveLength(1);
    expect(record.safeParse({ a: 1 }).success).toBe(true);
  });
});
