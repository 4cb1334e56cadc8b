import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { captureStream } from '../../../test/support/capture-stream.ts';
import { StatusLine } from './status-line.ts';

beforeEach(() => {
  vi.stubEnv('TERM', 'xterm');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('StatusLine on a terminal', () => {
  it('redraws in place, at most ten times a second', () => {
    let now = 0;
    const stream = captureStream(80);
    const status = new StatusLine(stream, { now: () => now });
    for (; now < 1000; now += 10) status.update({ label: 'training', done: now, total: 1000 });
    expect(stream.text().split('\r').length - 1).toBe(10);
    expect(stream.text()).not.toContain('\n');
  });

  it('shows share, rate and time left from what was done since it began', () => {
    let now = 0;
    const stream = captureStream(120);
    const status = new StatusLine(stream, { now: () => now });
    // Resumed at 500: the first half must not count into the rate.
    status.update({ label: 'training', done: 500, total: 1000, unit: 'tokens' });
    now = 10_000;
    status.update({ label: 'training', done: 600, total: 1000, unit: 'tokens', text: 'loss 2.345' });
    const line = stream.text().split('\r').at(-1);
    expect(line).toMatch(/training █+░+ {2}60 % {2}loss 2\.345 {2}10\.0 tokens\/s {2}40 s left/);
  });

  it('never exceeds the width', () => {
    const stream = captureStream(30);
    new StatusLine(stream).update({ label: 'training', done: 1, total: 3, text: 'x'.repeat(100) });
    expect([...(stream.text().split('\x1b[2K').at(-1) ?? '')].length).toBeLessThan(30);
  });

  it('keeps rate and time left in 80 columns', () => {
    const stream = captureStream(80);
    const text = ['step 1,200', 'loss 2.3270', 'lr 0.000100', '50 % zeros'];
    new StatusLine(stream).update({
      label: 'training',
      done: 1,
      total: 3,
      text,
      unit: 'tokens',
      rate: 2e4,
      secondsLeft: 40,
    });
    const line = stream.text().split('\x1b[2K').at(-1) ?? '';
    expect(line).toMatch(/step 1,200 {2}loss 2\.3270 {2}20,000 tokens\/s {2}40 s left$/);
    expect([...line].length).toBeLessThan(80);
  });

  it('clears itself when hidden and draws again at once', () => {
    const stream = captureStream(80);
    const status = new StatusLine(stream, { now: () => 0 });
    status.update({ label: 'a' });
    status.hide();
    expect(stream.text().endsWith('\r\x1b[2K')).toBe(true);
    status.update({ label: 'a', text: 'again' });
    expect(stream.text().endsWith('again')).toBe(true);
    status.done('finished');
    expect(stream.text().endsWith('\x1b[2Kfinished\n')).toBe(true);
  });
});

describe('StatusLine in a pipe', () => {
  it('prints plain lines now and then', () => {
    let now = 0;
    const stream = captureStream();
    const status = new StatusLine(stream, { now: () => now });
    for (; now < 20_000; now += 100) status.update({ label: 'training', done: now, total: 20_000 });
    status.done();
    const lines = stream.text().trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(stream.text()).not.toContain('\r');
    expect(stream.text()).not.toContain('\x1b');
  });

  it('prints at once when the label changes', () => {
    const stream = captureStream();
    const status = new StatusLine(stream, { now: () => 0 });
    status.update({ label: 'one' });
    status.update({ label: 'two' });
    expect(stream.text()).toBe('one\ntwo\n');
  });
});
