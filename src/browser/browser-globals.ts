/**
 * What is used of a browser's globals, which TypeScript knows only together with thousands of others (as in backends/wasm): Workers, the private file
 * system of an origin (OPFS), and files read synchronously, which Workers may.
 */

export interface WorkerLike {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: { readonly message?: string }) => void) | null;
  onmessageerror: (() => void) | null;
  postMessage(message: unknown): void;
  terminate(): void;
}

/** Of a Worker, inside of it. */
export interface WorkerScope {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
}

export interface FileHandle {
  readonly kind: 'file';
  readonly name: string;
  getFile(): Promise<Blob>;
  /** In Workers only; the file is locked until it is closed. */
  createSyncAccessHandle(): Promise<SyncAccess>;
}

export interface SyncAccess {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(bytes: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

export interface DirectoryHandle {
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  getDirectoryHandle(name: string, options?: { create: boolean }): Promise<DirectoryHandle>;
  removeEntry(name: string): Promise<void>;
  values(): AsyncIterable<FileHandle>;
}

export interface BrowserGlobals {
  readonly Worker: new (url: URL, options: { type: 'module'; name: string }) => WorkerLike;
  readonly navigator: { readonly storage?: { getDirectory?(): Promise<DirectoryHandle> } };
  readonly FileReaderSync: new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer };
}

export const browser = () => globalThis as unknown as BrowserGlobals;
