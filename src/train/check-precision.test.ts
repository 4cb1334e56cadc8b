import { expect, it } from 'vitest';
import { BackendError } from '../util/errors.ts';
import { checkPrecision } from './check-precision.ts';

it('refuses bf16 where the processor would only imitate it', () => {
  expect(() => checkPrecision('bf16', { description: 'native avx2, 2 threads', bf16: false })).toThrow(
    /got native avx2, 2 threads/,
  );
  expect(() => checkPrecision('bf16', { description: 'wasm, 1 thread', bf16: false })).toThrow(BackendError);
  checkPrecision('f32', { description: 'wasm, 1 thread', bf16: false });
  checkPrecision('bf16', { description: 'native avx512bf16, 2 threads', bf16: true });
});
