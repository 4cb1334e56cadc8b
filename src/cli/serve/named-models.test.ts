import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureStream } from '../../../test/support/capture-stream.ts';
import { UsageError } from '../../util/errors.ts';
import { Output } from '../shared/output.ts';
import { hostsOf, isLoopback } from './loopback.ts';
import { namedModels } from './named-models.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'qsparse-names-'));
  for (const name of ['runs/book', 'other/book', 'a=b']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'smollm2-Q4_1.gguf'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

const output = new Output({ json: false, stdout: captureStream(), stderr: captureStream() });
const named = (...given: string[]) => namedModels(given, output);

describe('namedModels', () => {
  it('calls a model by the last part of its path, or as it is told', async () => {
    const run = join(folder, 'runs/book/');
    expect(await named(run, join(folder, 'smollm2-Q4_1.gguf'), `mine=${run}`)).toEqual([
      { id: 'book', path: run },
      { id: 'smollm2-Q4_1', path: join(folder, 'smollm2-Q4_1.gguf') },
      { id: 'mine', path: run },
    ]);
  });

  it('refuses one name for two, and what is no name', async () => {
    await expect(named(join(folder, 'runs/book'), join(folder, 'other/book'))).rejects.toThrow(UsageError);
    await expect(named(join(folder, 'runs/book'), join(folder, 'other/book'))).rejects.toThrow(
      /two models .*Give NAME=/,
    );
    await expect(named(`a b=${join(folder, 'runs/book')}`)).rejects.toThrow(/"a b" is no name/);
    await expect(named(join(folder, 'a=b'))).rejects.toThrow(/"a=b" is no name/); // a path that exists is one
  });
});

describe('loopback addresses', () => {
  it('are those that no other machine reaches', () => {
    for (const host of ['127.0.0.1', '127.9.8.7', 'localhost', '::1'])
      expect([host, isLoopback(host)]).toEqual([host, true]);
    for (const host of ['0.0.0.0', '::', '192.168.1.2', '127.0.0.1.evil.example', 'localhost.evil.example', '']) {
      expect([host, isLoopback(host)]).toEqual([host, false]);
    }
    expect(hostsOf('127.0.0.2')).toEqual(['localhost', '127.0.0.1', '[::1]', '127.0.0.2']);
    expect(hostsOf('::1')).toEqual(['localhost', '127.0.0.1', '[::1]']);
  });
});
