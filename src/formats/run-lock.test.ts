import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { FormatError, TrainingError } from '../util/errors.ts';
import { lockRunDirectory } from './run-lock.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-lock-'));
  path = join(directory, 'run.lock');
  onTestFinished(() => rmSync(directory, { recursive: true }));
});

const DEAD_PID = 2 ** 22 + 1;
const holder = (fields: object) =>
  writeFileSync(path, JSON.stringify({ host: hostname(), startTicks: null, ...fields }));

describe('lockRunDirectory', () => {
  it('is held until it is released', () => {
    const lock = lockRunDirectory(directory);
    expect(JSON.parse(readFileSync(path, 'utf8')).pid).toBe(process.pid);
    expect(() => lockRunDirectory(directory)).toThrow(TrainingError);
    expect(() => lockRunDirectory(directory)).toThrow(`process ${process.pid} holds ${path}`);
    lock.release();
    expect(existsSync(path)).toBe(false);
    lockRunDirectory(directory).release();
    lock.release();
  });

  it('names another living process, and takes over when it is gone', async () => {
    const child = spawn('sleep', ['60']);
    holder({ pid: child.pid });
    expect(() => lockRunDirectory(directory)).toThrow(`process ${child.pid} holds`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    lockRunDirectory(directory).release();
  });

  it.skipIf(!existsSync('/proc/self/stat'))('sees that a process number has a new owner (/proc)', () => {
    holder({ pid: process.ppid, startTicks: '1' });
    lockRunDirectory(directory).release();
  });

  it('takes over from dead processes and from files that are no lock, and leaves nothing behind', () => {
    for (const content of [JSON.stringify({ pid: DEAD_PID, host: hostname() }), '', '{"pid":', 'null']) {
      writeFileSync(path, content);
      const lock = lockRunDirectory(directory);
      expect(JSON.parse(readFileSync(path, 'utf8')).pid).toBe(process.pid);
      lock.release();
      expect(existsSync(path)).toBe(false);
    }
  });

  it('respects a lock of another machine and says how to remove it', () => {
    holder({ pid: DEAD_PID, host: 'another-machine' });
    expect(() => lockRunDirectory(directory)).toThrow(`process ${DEAD_PID} on another-machine`);
    expect(() => lockRunDirectory(directory)).toThrow(`delete ${path}`);
  });

  it('does not remove a lock that is not its own', () => {
    const lock = lockRunDirectory(directory);
    holder({ pid: 1 });
    lock.release();
    expect(existsSync(path)).toBe(true);
  });

  it('makes the directory, and reports where it cannot', () => {
    lockRunDirectory(join(directory, 'a/b')).release();
    writeFileSync(join(directory, 'file'), '');
    expect(() => lockRunDirectory(join(directory, 'file/below'))).toThrow(FormatError);
  });
});
