/**
 * The program of one worker thread of the wasm backend: an instance of the module on the shared memory, with a stack and
 * scratch of its own, working on jobs until the backend stops.
 *
 * The function is started from its own text: so it is the same whether the project runs from TypeScript sources or compiled, in Node or
 * in a browser, bundled or not, and it needs no file. Hence it must use nothing but its parameters and globals.
 */

export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly stackTop: number;
  readonly scratch: number;
}

function wasmWorker({ module, memory, stackTop, scratch }: WorkerStart, ready: () => void): void {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const wasm = instance.exports as unknown as import('./wasm-module.ts').WasmExports;

  const report = (error: unknown) => {
    const room = wasm.message_bytes() - 1;
    const bytes = new TextEncoder().encode(String(error)).subarray(0, room);
    const target = new Uint8Array(memory.buffer, wasm.message() >>> 0, room + 1);
    target.fill(0);
    target.set(bytes);
  };

  ready();
  for (;;) {
    wasm.__stack_pointer.value = stackTop;
    try {
      wasm.work_until_stopped(scratch);
      return;
    } catch (error) {
      // A trap inside a kernel: the caller waits for this part, and throws once it knows.
      report(error);
      wasm.finish_failed_part();
    }
  }
}

/** The text of a function of a WorkerStart and of what says that the worker is ready for jobs. It returns when the backend stops. */
export function wasmWorkerText(): string {
  return `(${wasmWorker})`;
}
