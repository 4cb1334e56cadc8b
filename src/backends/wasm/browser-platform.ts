/**
 * The wasm backend in a browser: files by `fetch`, threads as Workers.
 *
 * Only pages that are isolated from others (their server sends two headers, in the error below) may send shared memory to threads: elsewhere there
 * is one thread. It needs no more than the memory, which every page may make. Several threads wait for each other, which browsers allow in Workers
 * only.
 */

import { BackendError } from '../../util/errors.ts';
import { MAX_THREADS } from '../thread-count.ts';
import type { WasmPlatform, WasmThread } from './wasm-platform.ts';
import { type WorkerStart, wasmWorkerText } from './wasm-worker.ts';

/** What is used of a browser's globals, which TypeScript knows only together with thousands of others (web-assembly.d.ts). */
interface BrowserGlobals {
  readonly crossOriginIsolated: boolean;
  /** Of the main thread only. */
  readonly document?: object;
  readonly navigator: { readonly hardwareConcurrency: number };
  readonly Worker: new (url: string, options: { name: string }) => BrowserWorker;
}

interface BrowserWorker {
  onmessage: (() => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
  postMessage(message: WorkerStart): void;
  terminate(): void;
}

const browser = () => globalThis as unknown as BrowserGlobals;

export const browserPlatform: WasmPlatform = {
  defaultThreads() {
    const { crossOriginIsolated, navigator } = browser();
    return crossOriginIsolated ? Math.max(1, Math.min(navigator.hardwareConcurrency, MAX_THREADS)) : 1;
  },
  checkSupport,
  async readBytes(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  },
  startThread,
};

function checkSupport(threads: number): void {
  const { crossOriginIsolated, document } = browser();
  if (threads === 1) return;
  if (!crossOriginIsolated) {
    throw new BackendError(
      'wasm',
      `this page may not share memory between threads: expected it to be isolated for ${threads} of them, got crossOriginIsolated = false. ` +
        'Serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.',
    );
  }
  if (document !== undefined) {
    throw new BackendError(
      'wasm',
      `the main thread of a page may not wait for others: expected 1 thread, got ${threads}. ` +
        'Load the backend inside a Worker, or with { threads: 1 }.',
    );
  }
}

function startThread(start: WorkerStart): WasmThread {
  const text = `onmessage = ({ data }) => ${wasmWorkerText()}(data, () => postMessage('ready'));`;
  const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  const worker = new (browser().Worker)(url, { name: 'qsparse-wasm' });
  const ready = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = ({ message }) => reject(new Error(message ?? 'its program cannot be loaded'));
  }).finally(() => URL.revokeObjectURL(url));
  worker.postMessage(start);
  return { ready, terminate: () => worker.terminate() };
}
