import { describe, expect, it } from 'vitest';
import { LossWatch } from './loss-watch.ts';

function settled(steps: number): LossWatch {
  const watch = new LossWatch({ nats: 1, steps });
  for (let i = 0; i < 100; i++) watch.observe(3 + (i % 2) * 0.1);
  return watch;
}

describe('LossWatch', () => {
  it('reports divergence after the given number of spikes in a row, with the median', () => {
    const watch = settled(3);
    expect([watch.observe(5), watch.observe(5)]).toEqual([null, null]);
    expect(watch.observe(5)).toBeCloseTo(3.05, 12);
  });

  it('a single bad batch begins a streak and is then forgotten', () => {
    const watch = settled(3);
    watch.observe(9);
    expect(watch.streak).toBe(1);
    watch.observe(3);
    expect(watch.streak).toBe(0);
    expect([watch.observe(9), watch.observe(9)]).toEqual([null, null]);
    expect(watch.window).not.toContain(9);
  });

  it('a falling curve and the steep beginning are not spikes', () => {
    const watch = new LossWatch({ nats: 1, steps: 1 });
    for (let i = 0; i < 300; i++) expect(watch.observe(2 + 6 * Math.exp(-i / 30))).toBeNull();
    expect(new LossWatch({ nats: 1, steps: 1 }).observe(1000)).toBeNull();
  });

  it('forgets what was usual', () => {
    const watch = settled(1);
    watch.clear();
    expect([watch.window, watch.streak]).toEqual([[], 0]);
    for (let i = 0; i < 100; i++) expect(watch.observe(9)).toBeNull();
    expect(watch.observe(11)).toBe(9);
  });

  it('0 steps never ends a run', () => {
    const watch = settled(0);
    for (let i = 0; i < 200; i++) expect(watch.observe(50)).toBeNull();
  });

  it('goes on from a saved window and streak as if it had not stopped', () => {
    const first = settled(2);
    first.observe(4.2);
    const window = JSON.parse(JSON.stringify(first.window)) as number[];
    const second = new LossWatch({ nats: 1, steps: 2, window, streak: first.streak });
    expect(first.observe(4.2)).toBeCloseTo(3.05, 12);
    expect(second.observe(4.2)).toBeCloseTo(3.05, 12);
  });
});
