import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunListing } from './run-listing.ts';

let folder: string;
let listing: RunListing;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qsparse-runs-'));
  listing = new RunListing(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

const step = (number: number) => `${JSON.stringify({ type: 'step', step: number })}\n`;

/** The metrics of a run that began at `startedAt`, and where they lie. */
function writeRun(name: string, more = '', startedAt = '2026-01-01T00:00:00Z'): string {
  mkdirSync(join(folder, name), { recursive: true });
  const path = join(folder, name, 'metrics.jsonl');
  writeFileSync(path, `${JSON.stringify({ type: 'run', startedAt, train: { steps: 9 } })}\n${more}`);
  return path;
}

const namesOf = async () => (await listing.list()).map(({ name }) => name);
const idOf = async (name: string) => (await listing.list()).find((run) => run.name === name)!.id;

describe('the list', () => {
  it('has runs to the third folder inside, none inside a run, none behind a link, the newest first', async () => {
    writeRun('old', step(3), '2025-01-01T00:00:00Z');
    writeRun('a/b/c', '', '2026-01-01T00:00:00Z');
    writeRun('a/b/d/too-deep');
    writeRun('old/inside');
    const elsewhere = mkdtempSync(join(tmpdir(), 'qsparse-elsewhere-'));
    writeFileSync(join(elsewhere, 'metrics.jsonl'), step(1));
    symlinkSync(elsewhere, join(folder, 'linked'));
    expect(await namesOf()).toEqual(['a/b/c', 'old']);
    rmSync(elsewhere, { recursive: true });
  });

  it('says how far a run is by its last records, and whether it goes on', async () => {
    const path = writeRun('run', `${step(1)}${' '.repeat(100_000)}\n${step(2)}{"type":"step","st`);
    expect(await listing.list()).toEqual([
      { id: await idOf('run'), name: 'run', startedAt: '2026-01-01T00:00:00Z', isLive: true, step: 2, maxSteps: 9 },
    ]);
    const before = new Date(Date.now() - 61_000);
    utimesSync(path, before, before);
    expect((await listing.list())[0].isLive).toBe(false);
    writeRun('run', step(9));
    expect((await listing.list())[0]).toMatchObject({ isLive: false, step: 9 });
  });

  it('looks through 2,000 folders and no more', async () => {
    for (let i = 0; i < 2000; i++) mkdirSync(join(folder, `f${String(i).padStart(4, '0')}`));
    writeRun('f0010');
    writeRun('z');
    // The folder of all runs is one of them.
    expect((await namesOf()).length).toBe(1);
  });

  it('is empty where there is no folder', async () => {
    expect(await new RunListing(join(folder, 'none')).list()).toEqual([]);
  });
});

describe('metrics', () => {
  it('come in whole lines, from where the last part ended', async () => {
    const path = writeRun('run', `${step(1)}{"type":"st`);
    const id = await idOf('run');
    const first = await listing.metrics(id, 0);
    expect(first!.text.endsWith(step(1))).toBe(true);
    expect(await listing.metrics(id, first!.next)).toEqual({ text: '', next: first!.next });
    writeFileSync(path, `ep","step":2}\n`, { flag: 'a' });
    expect((await listing.metrics(id, first!.next))!.text).toBe(step(2));
  });

  it('begin anew where a file is shorter than what was read of it', async () => {
    writeRun('run', step(1).repeat(100));
    const id = await idOf('run');
    const { next } = (await listing.metrics(id, 0))!;
    writeRun('run', step(7));
    expect((await listing.metrics(id, next))!.text).toContain('"step":7');
  });

  it('come 4 MiB at a time', async () => {
    const lines = step(1).repeat(200_000);
    writeRun('run', lines);
    const id = await idOf('run');
    let [from, text, parts] = [0, '', 0];
    for (;;) {
      const part = (await listing.metrics(id, from))!;
      if (part.text === '') break;
      expect(part.next - from).toBeLessThanOrEqual(4 * 2 ** 20);
      [from, text, parts] = [part.next, text + part.text, parts + 1];
    }
    expect([parts, text.endsWith(lines)]).toEqual([2, true]);
  });

  it('are none of an id that is not in the list, and of a run that is gone', async () => {
    writeRun('run');
    const id = await idOf('run');
    expect(await listing.metrics('run', 0)).toBeNull();
    rmSync(join(folder, 'run'), { recursive: true });
    expect(await listing.metrics(id, 0)).toBeNull();
  });
});
