import { expect, it } from 'vitest';
import { fastExp } from './fast-exp.ts';

it('is e^x from -700 to 0', () => {
  let worst = 0;
  for (let i = 0; i <= 200_000; i++) {
    const x = (-700 * i) / 200_000;
    worst = Math.max(worst, Math.abs(fastExp(x) / Math.exp(x) - 1));
  }
  // The reduction of x rounds at 2^-53 of 700 / ln 2 * 256 parts: 8e-14 at the far end.
  expect(worst).toBeLessThan(1e-13);
  for (const x of [-0.1, -1, -10, -50]) expect(Math.abs(fastExp(x) / Math.exp(x) - 1)).toBeLessThan(1e-14);
  expect(fastExp(0)).toBe(1);
});

it('is right on both sides of every border of its table', () => {
  for (let part = 0; part < 512; part++) {
    for (const near of [-1e-12, 0, 1e-12]) {
      const x = Math.min(0, (-part * Math.LN2) / 256 + near);
      expect(Math.abs(fastExp(x) / Math.exp(x) - 1)).toBeLessThan(1e-14);
    }
  }
});
