/** The wasm backend in Node: files of the package, threads of node:worker_threads. */

import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { defaultThreads } from '../default-threads.ts';
import type { WasmPlatform, WasmThread } from './wasm-platform.ts';
import { type WorkerStart, wasmWorkerText } from './wasm-worker.ts';

export const nodePlatform: WasmPlatform = {
  defaultThreads,
  checkSupport() {},
  async readBytes(url) {
    return new Uint8Array(await readFile(url));
  },
  startThread,
};

function startThread(start: WorkerStart): WasmThread {
  const text = `const { workerData, parentPort } = require('node:worker_threads');
    ${wasmWorkerText()}(workerData, () => parentPort.postMessage('ready'))`;
  // The worker inherits neither flags nor loaders of this process (--import, --test ...): it needs none.
  const worker = new Worker(text, { eval: true, workerData: start, execArgv: [], name: 'qsparse-wasm' });
  const ready = new Promise<void>((resolve, reject) => {
    worker.once('message', () => {
      worker.unref();
      resolve();
    });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`it ended with code ${code}`)));
  });
  return { ready, terminate: () => void worker.terminate() };
}
