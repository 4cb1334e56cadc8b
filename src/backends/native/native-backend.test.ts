import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../backend.ts';
import { BackendError, UsageError } from '../../util/errors.ts';
import type { CKernelHost } from '../c-kernels.ts';
import { kernelIndices } from '../kernel-indices.ts';
import { type Addon, type AddonInstance, howToBuild, isAddonBuilt, loadAddon } from './addon.ts';
import { createHost, createNativeBackend } from './native-backend.ts';

const ADDON_PATH = fileURLToPath(new URL('../../../build/native/qsparse.node', import.meta.url));
/** A program that uses the addon with two threads and then has nothing left to do. */
const PROGRAM = `
  const addon = require(${JSON.stringify(ADDON_PATH)});
  const instance = addon.create(2, null);
  const { buffer, address } = addon.allocate(400000);
  new Float64Array(instance.args).set([address, 100000, 5]);
  instance.run(addon.kernelNames.indexOf('fill'), 2);
  const ok = new Float32Array(buffer).every((x) => x === 5);
`;

describe.skipIf(!isAddonBuilt())(`the native backend (${isAddonBuilt() ? 'built' : howToBuild()})`, () => {
  let addon: Addon;
  let instance: AddonInstance;
  let host: CKernelHost;

  beforeAll(() => {
    addon = loadAddon();
    instance = addon.create(3, null);
    host = createHost(kernelIndices('native', addon.kernelNames), instance, 3);
  });
  afterAll(() => instance.dispose());

  it('runs every part of a job exactly once, for more and fewer parts than threads, awake and asleep', async () => {
    const length = 4097;
    const { buffer, address } = addon.allocate(length * 4);
    const data = new Float32Array(buffer);
    for (let i = 1; i <= 3000; i++) {
      data.fill(-1);
      host.args.set([address, length, i]);
      host.run('fill', [1, 2, 3, 7, 64][i % 5]);
      if (!data.every((x) => x === i)) expect.fail(`round ${i}: a part was lost`);
      // Longer than the workers spin, so that they fall asleep now and then.
      if (i % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    addon.free(buffer);
  });

  it('allocates zeroed memory at 64-byte boundaries, large blocks at different offsets of a page', () => {
    const backend = createNativeBackend({ threads: 1 });
    const offsets = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const large = backend.allocate('f32', (8 << 20) / 4);
      expect(large.address % 64).toBe(0);
      expect(large.data.every((x) => x === 0)).toBe(true);
      offsets.add(large.address % 65536);
      large.data.fill(1);
      backend.free(large);
    }
    expect(offsets.size).toBe(4);
    const dirty = backend.allocate('f64', 1000);
    dirty.data.fill(7);
    backend.free(dirty);
    const clean = backend.allocate('f64', 1000);
    expect(clean.address % 64).toBe(0);
    expect(Math.max(...clean.data)).toBe(0);
    expect(backend.allocate('i32', 0).data.length).toBe(0);
    backend.dispose();
  });

  it('free takes the memory away at once: the array is empty, and a second free is an error', () => {
    const memory = addon.allocate(64 << 20);
    const data = new Float32Array(memory.buffer);
    addon.free(memory.buffer);
    expect(data.length).toBe(0);
    expect(() => addon.free(memory.buffer)).toThrow(/freed before/);
    expect(() => addon.free(new ArrayBuffer(64))).toThrow(/elsewhere/);
  });

  it('keeps two backends apart', () => {
    const [one, two] = [createNativeBackend({ threads: 2 }), createNativeBackend({ threads: 3 })];
    const fill = (backend: Backend, value: number) => {
      const x = { dtype: 'f32' as const, shape: [70000], ...backend.allocate('f32', 70000) };
      backend.kernels.fill(x, value);
      return x.data;
    };
    const first = fill(one, 1);
    one.dispose();
    expect(fill(two, 2).every((x) => x === 2)).toBe(true);
    expect(first.every((x) => x === 1)).toBe(true);
    two.dispose();
  });

  it('refuses what it cannot do with a typed error', () => {
    expect(() => createNativeBackend({ isa: 'mmx' })).toThrow(BackendError);
    expect(() => createNativeBackend({ isa: 'mmx' })).toThrow(/no such instruction set.*Use one of/);
    expect(() => createNativeBackend({ threads: 0 })).toThrow(UsageError);
    expect(() => createNativeBackend({ threads: 2.5 })).toThrow(UsageError);
    expect(() => createNativeBackend({ threads: 1 }).allocate('f32', 2 ** 50)).toThrow(BackendError);
    expect(() => addon.create(1, 'mmx')).toThrow(/instruction set/);
    expect(() => instance.run(10_000, 1)).toThrow(/index/);
    expect(() => instance.run(0, 0)).toThrow(/parts/);
    const disposed = addon.create(2, null);
    disposed.dispose();
    disposed.dispose();
    expect(() => disposed.run(0, 1)).toThrow(/disposed/);
  });

  it('every supported instruction set can be chosen', () => {
    expect(addon.supportedIsas.length).toBeGreaterThan(0);
    for (const isa of addon.supportedIsas) {
      const backend = createNativeBackend({ threads: 2, isa });
      const x = { dtype: 'f32' as const, shape: [3000], ...backend.allocate('f32', 3000) };
      backend.kernels.fill(x, 2);
      backend.kernels.scale(x, 4);
      expect(x.data.every((value) => value === 8)).toBe(true);
      expect(backend.description).toBe(`native ${isa}, 2 threads`);
      expect(backend.bf16).toBe(isa.endsWith('bf16'));
      backend.dispose();
    }
  });

  it('works inside a worker thread that ends by itself or is terminated, while the main thread uses it', async () => {
    const text = `${PROGRAM} require('node:worker_threads').parentPort.postMessage(ok);`;
    const untilMessage = (worker: Worker) =>
      new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    const ending = new Worker(text, { eval: true });
    const exited = new Promise((resolve) => ending.once('exit', resolve));
    expect(await untilMessage(ending)).toBe(true);
    expect(await exited).toBe(0);
    const kept = new Worker(`${text} setInterval(() => {}, 1000);`, { eval: true });
    expect(await untilMessage(kept)).toBe(true);
    await kept.terminate();
    const { buffer, address } = addon.allocate(4000);
    host.args.set([address, 1000, 9]);
    host.run('fill', 3);
    expect(new Float32Array(buffer).every((x) => x === 9)).toBe(true);
  });

  it.each(['', 'process.exit(0);', 'instance.dispose();'])('lets the process end: %s', async (ending) => {
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', `${PROGRAM} console.log(ok); ${ending}`], {
      timeout: 30_000,
    });
    expect(stdout.trim()).toBe('true');
  });
});
