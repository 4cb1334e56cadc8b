import { describe, expect, it, vi } from 'vitest';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './interrupt.ts';

/** The listener that `onInterrupt` added; calling it spares the test runner a real signal. */
function addedListener(before: readonly unknown[]): () => void {
  const added = process.listeners('SIGINT').filter((listener) => !before.includes(listener));
  expect(added).toHaveLength(1);
  return added[0] as unknown as () => void;
}

describe('onInterrupt', () => {
  it('asks to stop at the first Ctrl-C, ends with 130 at the second, and lets go', () => {
    const before = process.listeners('SIGINT');
    const handler = vi.fn();
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    const interrupt = onInterrupt(handler);
    const press = addedListener(before);
    expect(interrupt.signal.aborted).toBe(false);
    press();
    expect(interrupt.signal.aborted).toBe(true);
    expect(handler).toHaveBeenCalledOnce();
    expect(exit).not.toHaveBeenCalled();
    press();
    expect(exit).toHaveBeenCalledWith(INTERRUPTED_EXIT_CODE);
    interrupt.dispose();
    exit.mockRestore();
    expect(process.listeners('SIGINT')).toEqual(before);
  });
});
