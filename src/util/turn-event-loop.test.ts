import { afterEach, expect, it, vi } from 'vitest';
import { turnEventLoop } from './turn-event-loop.ts';

afterEach(() => vi.unstubAllGlobals());

/** Whether a timer that is due runs within some turns. */
async function timersRun(): Promise<boolean> {
  let ran = false;
  setTimeout(() => {
    ran = true;
  }, 0);
  const until = performance.now() + 1000;
  while (!ran && performance.now() < until) await turnEventLoop();
  return ran;
}

it('lets timers run, which a microtask would not', async () => {
  expect(await timersRun()).toBe(true);
});

it('does so without setImmediate too', async () => {
  vi.stubGlobal('setImmediate', undefined);
  expect(await timersRun()).toBe(true);
});
