import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { captureStream } from '../../../test/support/capture-stream.ts';
import { Output } from './output.ts';

beforeEach(() => {
  vi.stubEnv('TERM', 'xterm');
  vi.stubEnv('NO_COLOR', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

function printEverything(output: Output): void {
  output.heading('Result');
  output.line('a line');
  output.note('an aside');
  output.warn('careful');
  output.table([{ name: 'x', value: 1 }]);
  output.json({ value: 1, missing: Number.NaN });
}

describe('Output', () => {
  it('prints results on stdout, asides on stderr, and no JSON unless asked', () => {
    const [stdout, stderr] = [captureStream(), captureStream()];
    printEverything(new Output({ json: false, stdout, stderr }));
    expect(stdout.text()).toBe('\nResult\na line\nname  value\n────  ─────\nx         1\n');
    expect(stderr.text()).toBe('an aside\nwarning: careful\n');
  });

  it('has exactly one JSON object on stdout with --json, and all the rest on stderr', () => {
    const [stdout, stderr] = [captureStream(), captureStream()];
    printEverything(new Output({ json: true, stdout, stderr }));
    expect(stdout.text()).toBe('{"value":1,"missing":null}\n');
    expect(stderr.text()).toContain('a line\n');
    expect(stderr.text()).toContain('x         1\n');
  });

  it('takes the live line away before it prints', () => {
    const [stdout, stderr] = [captureStream(80), captureStream(80)];
    const output = new Output({ json: false, stdout, stderr });
    output.progress().update({ label: 'working' });
    output.line('done');
    expect(stderr.text()).toBe('\r\x1b[2Kworking\r\x1b[2K');
  });

  it('colours on a terminal only, and never with NO_COLOR', () => {
    const terminal = captureStream(80);
    new Output({ json: false, stdout: captureStream(), stderr: terminal }).warn('careful');
    expect(terminal.text()).toContain('\x1b[33m');
    vi.stubEnv('NO_COLOR', '1');
    const plain = captureStream(80);
    new Output({ json: false, stdout: captureStream(), stderr: plain }).warn('careful');
    expect(plain.text()).toBe('warning: careful\n');
  });
});
