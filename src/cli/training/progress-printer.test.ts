import { afterEach, describe, expect, it, vi } from 'vitest';
import { captureStream } from '../../../test/support/capture-stream.ts';
import { resolveTrainConfig } from '../../train/train-config.ts';
import { Output } from '../shared/output.ts';
import { ProgressPrinter } from './progress-printer.ts';

describe('a validation on its way', () => {
  afterEach(() => vi.restoreAllMocks());

  it('is shown once it takes longer than a second', () => {
    const clock = vi.spyOn(performance, 'now');
    const stderr = captureStream();
    const printer = new ProgressPrinter(new Output({ json: false, stderr }), resolveTrainConfig({}, 8));
    for (const [done, at] of [
      [0, 5000],
      [100, 5900],
    ]) {
      clock.mockReturnValue(at);
      printer.validating(done, 400);
    }
    expect(stderr.text()).toBe('');
    clock.mockReturnValue(6100);
    printer.validating(200, 400);
    expect(stderr.text()).toMatch(/^validation .* 50 %/);
  });
});
