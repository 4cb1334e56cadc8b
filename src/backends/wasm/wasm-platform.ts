/**
 * WasmPlatform: what the wasm backend takes from the system that it runs on, Node or a browser; load-backend.ts chooses between them.
 *
 * Memory, allocation, jobs and errors are the same on both (wasm-backend.ts), and so is the program of a thread (wasm-worker.ts).
 */

import type { WorkerStart } from './wasm-worker.ts';

export interface WasmPlatform {
  /** Threads where nobody says how many, at least 1. */
  defaultThreads(): number;
  /** Throws BackendError where so many threads cannot be had here, with what to do. */
  checkSupport(threads: number): void;
  /** A file of the package. Rejects where there is none. */
  readBytes(url: URL): Promise<Uint8Array<ArrayBuffer>>;
  /** A thread that runs `wasmWorkerText`. */
  startThread(start: WorkerStart): WasmThread;
}

export interface WasmThread {
  /** Resolves when it waits for jobs; from then on it does not keep the process alive. Rejects where it does not start. */
  readonly ready: Promise<void>;
  terminate(): void;
}
