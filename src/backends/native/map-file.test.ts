/** Files as memory: mapping, sharing, freeing, and what happens without the last. */

import { constants } from 'node:buffer';
import { execFile } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BackendError } from '../../util/errors.ts';
import { isAddonBuilt, loadAddon } from './addon.ts';
import { createNativeBackend } from './native-backend.ts';

const ADDON_PATH = fileURLToPath(new URL('../../../build/native/qsparse.node', import.meta.url));

/** Bytes offset .. offset + bytes of the files of this test: i mod 251 each. */
const content = (offset: number, bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => (offset + i) % 251);
const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** A file of `bytes` and its descriptor; the file is gone after the test. */
function openFile(bytes: number): { path: string; file: number } {
  const directory = mkdtempSync(join(tmpdir(), 'qsparse-map-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'file');
  writeFileSync(path, content(0, bytes));
  return { path, file: openSync(path, 'r') };
}

describe.skipIf(!isAddonBuilt())('mapFile of the native backend', () => {
  it('gives any part of a file, for kernels too, after the file is closed', () => {
    const backend = createNativeBackend({ threads: 1 });
    const { file } = openFile(300_000);
    const parts = [
      [0, 1],
      [0, 300_000],
      [64, 5000],
      [4096, 4096],
      [4160, 200_000],
      [299_999, 1],
    ];
    const mapped = parts.map(([offset, bytes]) => backend.mapFile!(file, offset, bytes));
    closeSync(file);
    expect(parts.map(([offset, bytes], i) => equal(mapped[i].data, content(offset, bytes)))).not.toContain(false);
    const { data, address } = mapped[2];
    const from = { dtype: 'u8' as const, shape: [5000], data, address };
    const to = { dtype: 'u8' as const, shape: [5000], ...backend.allocate('u8', 5000) };
    backend.kernels.copy(from, to);
    expect(equal(to.data, data)).toBe(true);
    for (const memory of mapped) backend.free(memory);
    expect(mapped.map((memory) => memory.data.length)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(() => backend.free(mapped[0])).toThrow(/freed before/);
    backend.dispose();
  });

  it('keeps what is written to it to itself: neither the file nor another backend sees it', () => {
    const [one, two] = [createNativeBackend({ threads: 1 }), createNativeBackend({ threads: 1 })];
    const { path, file } = openFile(20_000);
    const [a, b] = [one.mapFile!(file, 0, 20_000), two.mapFile!(file, 0, 20_000)];
    closeSync(file);
    a.data.fill(7);
    expect(equal(b.data, content(0, 20_000))).toBe(true);
    expect(equal(readFileSync(path), content(0, 20_000))).toBe(true);
    one.free(a);
    one.dispose();
    expect(equal(b.data, content(0, 20_000))).toBe(true);
    two.free(b);
    two.dispose();
  });

  it('holds the file that it was made of, when another one takes its place', () => {
    const backend = createNativeBackend({ threads: 1 });
    const { path, file } = openFile(20_000);
    const memory = backend.mapFile!(file, 0, 20_000);
    closeSync(file);
    rmSync(path);
    writeFileSync(path, 'another');
    expect(equal(memory.data, content(0, 20_000))).toBe(true);
    backend.free(memory);
    backend.dispose();
  });

  it('reaches beyond 4 GB, and takes no memory for what is not touched', () => {
    const addon = loadAddon();
    const { path, file } = openFile(0);
    const writer = openSync(path, 'r+');
    // Holes: nothing of it is on the disk.
    ftruncateSync(writer, 6 * 2 ** 30);
    writeSync(writer, Uint8Array.of(1, 2, 3), 0, 3, 5 * 2 ** 30 + 100);
    const before = process.memoryUsage.rss();
    const { buffer, address } = addon.map(file, 4 * 2 ** 30, 2 * 2 ** 30);
    expect([...new Uint8Array(buffer, 2 ** 30 + 99, 5)]).toEqual([0, 1, 2, 3, 0]);
    expect(address % addon.pageBytes).toBe(0);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 2 ** 20);
    addon.free(buffer);
    closeSync(writer);
    closeSync(file);
  });

  it('refuses what the file does not hold, and what is no file', () => {
    const backend = createNativeBackend({ threads: 1 });
    const addon = loadAddon();
    const { path, file } = openFile(5000);
    for (const [offset, bytes] of [
      [0, 5001],
      [5000, 1],
      [2 ** 52, 1],
      [4096, 2 ** 52],
    ]) {
      expect(() => backend.mapFile!(file, offset, bytes)).toThrow(BackendError);
      expect(() => backend.mapFile!(file, offset, bytes)).toThrow(
        /cannot map .*: the file ends before\. .*mmap: false/,
      );
    }
    const directory = openSync(join(path, '..'), 'r');
    expect(() => backend.mapFile!(directory, 0, 10)).toThrow(BackendError);
    closeSync(directory);
    expect(() => addon.map(file, 64, 10)).toThrow(/page/);
    expect(() => addon.map(file, -addon.pageBytes, 10)).toThrow(/page/);
    expect(() => addon.map(file, 0, 0)).toThrow(/bytes/);
    expect(() => addon.map(file, 0, -5)).toThrow(/bytes/);
    closeSync(file);
    expect(() => backend.mapFile!(file, 0, 10)).toThrow(/[Bb]ad file descriptor/);
    backend.dispose();
  });

  it('works inside a worker thread that ends with the file still mapped', async () => {
    const { path, file } = openFile(20_000);
    closeSync(file);
    const worker = new Worker(
      `const addon = require(${JSON.stringify(ADDON_PATH)});
       const { buffer } = addon.map(require('node:fs').openSync(${JSON.stringify(path)}, 'r'), addon.pageBytes, 1000);
       require('node:worker_threads').parentPort.postMessage(new Uint8Array(buffer)[1]);`,
      { eval: true },
    );
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    const message = new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(await message).toBe((loadAddon().pageBytes + 1) % 251);
    expect(await exited).toBe(0);
  });

  it.skipIf(platform() !== 'linux')('leaves forgotten mappings to the garbage collector', async () => {
    const { path, file } = openFile(1 << 20);
    closeSync(file);
    const { stdout } = await runNode(`
      const file = fs.openSync(${JSON.stringify(path)}, 'r');
      const mapped = () => fs.readFileSync('/proc/self/maps', 'utf8').split(${JSON.stringify(path)}).length - 1;
      const forgetMany = () => { for (let i = 0; i < 500; i++) new Uint8Array(addon.map(file, 0, 1 << 20).buffer)[i]++; };
      const kept = addon.map(file, 0, 1 << 20).buffer;
      forgetMany();
      for (let i = 0; i < 5; i++) { global.gc(); await new Promise((resolve) => setTimeout(resolve, 10)); }
      console.log(mapped() < 10, new Uint8Array(kept)[250]);
    `);
    expect(stdout).toBe('true 250\n');
  });

  it.skipIf(constants.MAX_LENGTH > 2 ** 40)('survives a size that Node has no array for', async () => {
    const { stdout } = await runNode(`
      for (let i = 0; i < 3; i++) {
        try { addon.allocate(${constants.MAX_LENGTH} + 4096); } catch (error) { console.log(error.message.slice(0, 13)); }
        await new Promise(setImmediate);
        global.gc();
      }
    `);
    expect(stdout).toBe('Cannot create\n'.repeat(3));
  });
});

/** Runs a program that has the addon, in a process of its own. */
function runNode(program: string): Promise<{ stdout: string }> {
  const text = `(async () => {
    const fs = require('node:fs');
    const addon = require(${JSON.stringify(ADDON_PATH)});
    ${program}
  })()`;
  return promisify(execFile)(process.execPath, ['--expose-gc', '-e', text], { timeout: 30_000 });
}
