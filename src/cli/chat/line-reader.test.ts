import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { pipeLines } from './line-reader.ts';

describe('pipeLines', () => {
  it('gives line after line, and null behind the last', async () => {
    const input = new PassThrough();
    input.end('one\r\ntwo\nthree');
    const lines = pipeLines(input);
    for (const expected of ['one', 'two', 'three', null]) expect(await lines.next()).toBe(expected);
  });

  it('gives nothing more once it is closed, also of what was read before', async () => {
    const input = new PassThrough();
    input.write('one\ntwo\nthree\n');
    const lines = pipeLines(input);
    expect(await lines.next()).toBe('one');
    lines.close();
    expect(await lines.next()).toBeNull();
  });

  it('ends what waits', async () => {
    const lines = pipeLines(new PassThrough());
    const waiting = lines.next();
    lines.close();
    expect(await waiting).toBeNull();
  });
});
