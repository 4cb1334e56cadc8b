/**
 * The browser's side of the wasm backend with stand-ins for a browser's globals: Workers that run the same text as a classic worker script, in
 * threads of Node. bench/chromium runs it in a real Chromium.
 */

import { resolveObjectURL } from 'node:buffer';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Worker as NodeWorker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Tensor } from '../../tensor/tensor.ts';
import { BackendError } from '../../util/errors.ts';
import { browserPlatform } from './browser-platform.ts';
import { createWasmBackend } from './wasm-backend.ts';

const MODULE_PATH = fileURLToPath(new URL('../../../build/wasm/qsparse.wasm', import.meta.url));

/** In front of a worker script: what of a browser's worker it uses. */
const WORKER_GLOBALS = `const { parentPort } = require('node:worker_threads');
  var onmessage, postMessage = (data) => parentPort.postMessage(data);
  parentPort.once('message', (data) => onmessage({ data }));\n`;

class BrowserWorker {
  onmessage: (() => void) | null = null;
  onerror: ((event: { message: string }) => void) | null = null;
  readonly #worker: Promise<NodeWorker>;

  constructor(url: string) {
    this.#worker = this.#start(url);
  }

  async #start(url: string): Promise<NodeWorker> {
    const text = await resolveObjectURL(url)?.text();
    const worker = new NodeWorker(`${WORKER_GLOBALS}${text}`, { eval: true, execArgv: [] });
    worker.on('message', () => this.onmessage?.());
    worker.on('error', ({ message }) => this.onerror?.({ message }));
    return worker;
  }

  postMessage(message: unknown): void {
    void this.#worker.then((worker) => worker.postMessage(message));
  }

  terminate(): void {
    void this.#worker.then((worker) => worker.terminate());
  }
}

beforeEach(() => {
  vi.stubGlobal('crossOriginIsolated', true);
  vi.stubGlobal('navigator', { hardwareConcurrency: 3 });
  vi.stubGlobal('Worker', BrowserWorker);
  vi.stubGlobal('fetch', async (url: URL) => new Response(await readFile(url)));
});
afterEach(() => vi.unstubAllGlobals());

describe.skipIf(!existsSync(MODULE_PATH))('the wasm backend in a browser (npm run build makes build/wasm/)', () => {
  it('runs every part of a job, on as many threads as there are processors', async () => {
    const backend = await createWasmBackend(browserPlatform, {});
    expect(backend.description).toBe('wasm simd128, 3 threads');
    const x: Tensor<'f32'> = { dtype: 'f32', shape: [90_001], ...backend.allocate('f32', 90_001) };
    for (let i = 1; i <= 100; i++) {
      backend.kernels.fill(x, i);
      if (!x.data.every((value) => value === i)) expect.fail(`round ${i}: a part was lost`);
    }
    backend.dispose();
  });

  it('says where a thread does not start', async () => {
    vi.stubGlobal(
      'Worker',
      class extends BrowserWorker {
        override postMessage(): void {
          queueMicrotask(() => this.onerror?.({ message: 'blocked' }));
        }
      },
    );
    await expect(createWasmBackend(browserPlatform, { threads: 2 })).rejects.toThrow(
      /a thread does not start: blocked/,
    );
  });

  it('says which file is missing', async () => {
    vi.stubGlobal('fetch', async () => new Response('', { status: 404 }));
    const created = createWasmBackend(browserPlatform, { threads: 1 });
    await expect(created).rejects.toThrow(/expected .*build\/wasm\/qsparse\.wasm, got HTTP status 404/);
  });

  it('runs one thread where the page is not isolated and nobody says how many', async () => {
    vi.stubGlobal('crossOriginIsolated', false);
    const backend = await createWasmBackend(browserPlatform);
    expect(backend.threads).toBe(1);
    backend.dispose();
  });

  it('runs one thread on the main thread of a page', async () => {
    vi.stubGlobal('document', {});
    const backend = await createWasmBackend(browserPlatform, { threads: 1 });
    const x: Tensor<'f32'> = { dtype: 'f32', shape: [5000], ...backend.allocate('f32', 5000) };
    backend.kernels.fill(x, 4);
    expect(x.data.every((value) => value === 4)).toBe(true);
  });
});

describe('what a page may not do', () => {
  it('is an error that names the headers where the page is not isolated', async () => {
    vi.stubGlobal('crossOriginIsolated', false);
    const created = createWasmBackend(browserPlatform, { threads: 2 });
    await expect(created).rejects.toThrow(BackendError);
    await expect(created).rejects.toThrow(/Cross-Origin-Opener-Policy: same-origin/);
  });

  it('is an error that asks for a Worker where the main thread would wait', async () => {
    vi.stubGlobal('document', {});
    const created = createWasmBackend(browserPlatform, { threads: 2 });
    await expect(created).rejects.toThrow(/inside a Worker, or with \{ threads: 1 \}/);
  });
});
