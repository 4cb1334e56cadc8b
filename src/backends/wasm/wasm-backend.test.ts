import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../backend.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { BackendError, UsageError } from '../../util/errors.ts';
import { nodePlatform } from './node-platform.ts';
import { createWasmBackend } from './wasm-backend.ts';

const MODULE_PATH = fileURLToPath(new URL('../../../build/wasm/qsparse.wasm', import.meta.url));

describe.skipIf(!existsSync(MODULE_PATH))('the wasm backend (npm run build makes build/wasm/qsparse.wasm)', () => {
  let backend: Backend;
  const tensor = (length: number): Tensor<'f32'> => ({
    dtype: 'f32',
    shape: [length],
    ...backend.allocate('f32', length),
  });

  beforeAll(async () => {
    backend = await createWasmBackend(nodePlatform, { threads: 3 });
  });
  afterAll(() => backend.dispose());

  it('runs every part of a job exactly once, awake and asleep', async () => {
    const x = tensor(40_001);
    for (let i = 1; i <= 1000; i++) {
      x.data.fill(-1);
      backend.kernels.fill(x, i);
      if (!x.data.every((value) => value === i)) expect.fail(`round ${i}: a part was lost`);
      if (i % 200 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });

  it('grows its memory; views and kernels work in the old and in the new part, on every thread', () => {
    const old = tensor(100_000);
    old.data.fill(3);
    const fresh = tensor((96 << 20) / 4);
    expect(fresh.address % 64).toBe(0);
    expect(fresh.data.every((value) => value === 0)).toBe(true);
    backend.kernels.fill(fresh, 2);
    expect(fresh.data.every((value) => value === 2)).toBe(true);
    backend.kernels.scale(old, 2);
    expect(old.data.every((value) => value === 6)).toBe(true);
    backend.free(fresh);
    const reused = tensor(1 << 20);
    expect(reused.data.every((value) => value === 0)).toBe(true);
  });

  it('refuses more than 4 GiB with what to do, and goes on', () => {
    expect(() => backend.allocate('f64', 2 ** 30)).toThrow(BackendError);
    expect(() => backend.allocate('f64', 2 ** 30)).toThrow(/native backend/);
    expect(tensor(10).data.length).toBe(10);
  });

  it('reports a kernel that traps, on any thread, as a BackendError, and goes on', () => {
    // The fill of all addresses from half a memory on: the first parts are valid, the last lie beyond the end.
    const length = (16 << 20) / 4;
    const good = tensor(length);
    const long: Tensor<'f32'> = { dtype: 'f32', shape: [2 ** 30], data: good.data, address: good.address };
    for (let round = 0; round < 5; round++) {
      expect(() => backend.kernels.fill(long, 0)).toThrow(/\[fill\] the wasm kernel failed: .*out of bounds/);
      backend.kernels.fill(good, round);
      expect(good.data.every((value) => value === round)).toBe(true);
    }
  });

  it('reports a trap of a part that a worker took', async () => {
    const two = await createWasmBackend(nodePlatform, { threads: 2 });
    const halfBytes = 8 << 20;
    const { data } = two.allocate('f32', (32 << 20) / 4);
    // The first half of the range, which the main thread takes first, ends where the memory ends.
    const address = data.buffer.byteLength - halfBytes;
    const astride: Tensor<'f32'> = { dtype: 'f32', shape: [(2 * halfBytes) / 4], data, address };
    for (let round = 0; round < 20; round++) {
      expect(() => two.kernels.fill(astride, 1)).toThrow(/\[fill\].*out of bounds/);
    }
    two.dispose();
  });

  it('refuses bad numbers of threads', async () => {
    await expect(createWasmBackend(nodePlatform, { threads: 0 })).rejects.toThrow(UsageError);
    await expect(createWasmBackend(nodePlatform, { threads: 1000 })).rejects.toThrow(UsageError);
  });

  it('runs beside another backend, and on one thread', async () => {
    const single = await createWasmBackend(nodePlatform, { threads: 1 });
    const x: Tensor<'f32'> = { dtype: 'f32', shape: [5000], ...single.allocate('f32', 5000) };
    single.kernels.fill(x, 4);
    expect(x.data.every((value) => value === 4)).toBe(true);
    expect(single.description).toBe('wasm simd128, 1 thread');
    single.dispose();
  });
});

// A compiled build is needed: Node 20 does not run the TypeScript sources by itself.
const COMPILED = new URL('../../../dist/backends/wasm/', import.meta.url);
const canRunCompiled = existsSync(new URL('wasm-backend.js', COMPILED)) && existsSync(MODULE_PATH);

describe.skipIf(!canRunCompiled)('the compiled wasm backend (npm run build makes dist/)', () => {
  it.each(['', 'process.exit(0);', 'backend.dispose();'])('lets the process end: %s', async (ending) => {
    const program = `
      const { createWasmBackend } = await import('${COMPILED.href}wasm-backend.js');
      const { nodePlatform } = await import('${COMPILED.href}node-platform.js');
      const backend = await createWasmBackend(nodePlatform, { threads: 3 });
      const x = { dtype: 'f32', shape: [90000], ...backend.allocate('f32', 90000) };
      backend.kernels.fill(x, 2);
      console.log(x.data.every((value) => value === 2));
      ${ending}`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      timeout: 30_000,
    });
    expect(stdout.trim()).toBe('true');
  });
});
