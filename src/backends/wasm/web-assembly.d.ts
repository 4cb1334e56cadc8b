/**
 * The part of the WebAssembly API that the wasm backend uses. TypeScript has these types only in its library for browsers,
 * whose thousands of globals would make every misspelt name in Node code look right.
 */

declare namespace WebAssembly {
  type Exports = Record<string, unknown>;

  class Module {
    private readonly brand: never;
  }

  class Memory {
    constructor(descriptor: { initial: number; maximum: number; shared: true });
    /** Another object after each growth, over the same bytes and more. */
    readonly buffer: SharedArrayBuffer;
    /** Throws RangeError beyond the maximum. */
    grow(pages: number): number;
  }

  class Global<_T extends 'i32'> {
    value: number;
  }

  class Instance {
    constructor(module: Module, imports: { env: { memory: Memory } });
    readonly exports: Exports;
  }

  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;
}
