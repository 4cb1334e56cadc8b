/** A run made of formulas: every type of record, for tests of the report. */

import { POINTS, type Point } from '../../src/model/config.ts';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import type { ReportRun } from '../../src/report/parse-metrics.ts';
import type { DetailRecord, MetricsRecord, StepRecord } from '../../src/train/metrics.ts';

const TOKENS_PER_STEP = 4096;
const VALIDATE_EVERY = 10;
const N_LAYERS = 3;

/** `steps` steps of a run whose loss falls as 2 + 6 / step, with a sample of `text` at the end. */
export function fakeRun(name: string, steps: number, text = 'a text'): ReportRun {
  const model = resolveConfig({ dim: 64, nLayers: N_LAYERS, nHeads: 4, vocabSize: 512, sparsity: 0.6 });
  const records: MetricsRecord[] = [
    {
      type: 'run',
      name,
      startedAt: '2024-05-06T07:08:09.123Z',
      step: 0,
      model,
      train: { lr: 0.001 },
      parameters: 1_234_567,
      backend: 'native avx2, 2 threads',
      machine: 'a machine',
      version: '0.1.0',
    },
  ];
  for (let step = 1; step <= steps; step++) {
    records.push(fakeStep(step));
    if (step % VALIDATE_EVERY !== 0) continue;
    const loss = 2.1 + 6 / step;
    const place = { step, tokens: step * TOKENS_PER_STEP, seconds: step / 2 };
    records.push(fakeDetail(step));
    records.push({ type: 'validation', ...place, loss, bitsPerByte: loss / 3, best: true });
  }
  records.push({ type: 'sample', step: steps, prompt: 'Once', text });
  return { name, records };
}

function fakeStep(step: number): StepRecord {
  return {
    type: 'step',
    step,
    tokens: step * TOKENS_PER_STEP,
    seconds: step / 2,
    loss: 2 + 6 / step,
    l1: 0,
    lr: 0.001,
    gradNorm: 1 / step,
    tokensPerSecond: TOKENS_PER_STEP * 2,
    gflops: 90,
    gflopsDenseEquivalent: 180,
    partsMs: { data: 5, select: 45, forward: 150, backward: 250, optimizer: 50 },
    modelSparsity: 0.67,
  };
}

function fakeDetail(step: number): DetailRecord {
  const byPoint = (value: number): Record<Point, number[]> =>
    Object.fromEntries(POINTS.map((point) => [point, Array(N_LAYERS).fill(value)])) as Record<Point, number[]>;
  const gradNorm = { q: [1, 2, 3], k: [0.1, 0.2, 0.3] };
  return {
    type: 'detail',
    step,
    sparsity: byPoint(0.6),
    energyKept: byPoint(0.95),
    gradNorm,
    deadChannels: [0, 0, 0.5],
  };
}
