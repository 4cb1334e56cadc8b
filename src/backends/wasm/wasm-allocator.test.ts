import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackendError } from '../../util/errors.ts';
import { WasmAllocator } from './wasm-allocator.ts';

const newMemory = (maximum: number) => new WebAssembly.Memory({ initial: 1, maximum, shared: true });

describe('WasmAllocator', () => {
  it('hands out aligned ranges inside the memory that never overlap, whatever is freed between', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 5000 })), { maxLength: 120 });
    fc.assert(
      fc.property(steps, (operations) => {
        const memory = newMemory(64);
        const allocator = new WasmAllocator(memory, 1000, 64);
        const live: { address: number; bytes: number }[] = [];
        for (const [isFree, number] of operations) {
          if (isFree && live.length > 0) {
            allocator.free(live.splice(number % live.length, 1)[0].address);
          } else {
            const block = allocator.allocate(number);
            expect(block.address % 64).toBe(0);
            expect(block.address).toBeGreaterThanOrEqual(1000);
            expect(block.bytes).toBeGreaterThanOrEqual(number);
            expect(block.address + block.bytes).toBeLessThanOrEqual(memory.buffer.byteLength);
            for (const other of live) {
              const apart =
                block.address >= other.address + other.bytes || other.address >= block.address + block.bytes;
              expect(apart).toBe(true);
            }
            live.push(block);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('merges freed neighbours, so that all memory can be one block again', () => {
    const allocator = new WasmAllocator(newMemory(16), 64, 16);
    const blocks = Array.from({ length: 10 }, () => allocator.allocate(64 * 1024));
    for (const position of [3, 1, 2, 9, 7, 8, 0, 5, 4, 6]) allocator.free(blocks[position].address);
    const whole = allocator.allocate(10 * 64 * 1024);
    expect(whole.address).toBe(blocks[0].address);
    expect(whole.fresh).toBe(false);
  });

  it('says which memory was never used', () => {
    const allocator = new WasmAllocator(newMemory(16), 64, 16);
    const first = allocator.allocate(100);
    expect(first.fresh).toBe(true);
    allocator.free(first.address);
    expect(allocator.allocate(100).fresh).toBe(false);
    expect(allocator.allocate(100).fresh).toBe(true);
  });

  it('grows the memory up to its maximum, then refuses with what to do and stays usable', () => {
    const memory = newMemory(4);
    const allocator = new WasmAllocator(memory, 0, 4);
    allocator.allocate(3 * 65536);
    expect(memory.buffer.byteLength).toBe(4 * 65536);
    expect(() => allocator.allocate(2 * 65536)).toThrow(BackendError);
    expect(() => allocator.allocate(2 * 65536)).toThrow(/Use the native backend/);
    expect(allocator.allocate(65536).address).toBe(3 * 65536);
  });

  it('refuses to free twice', () => {
    const allocator = new WasmAllocator(newMemory(4), 0, 4);
    const { address } = allocator.allocate(100);
    allocator.free(address);
    expect(() => allocator.free(address)).toThrow(BackendError);
  });
});
