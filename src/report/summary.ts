/** The numbers of a run that fit into a table: what it reached, how fast, and what it was. */

import type {
  DetailRecord,
  MetricsRecord,
  RunRecord,
  SampleRecord,
  StepRecord,
  ValidationRecord,
} from '../train/metrics.ts';
import { mean, usual } from './curves.ts';
import type { ReportRun } from './parse-metrics.ts';

/** The final training loss is the mean of this many last steps: a single batch says little. */
const FINAL_STEPS = 50;

export interface RunSummary {
  name: string;
  /** The newest start; null where the file has no `run` record. */
  run: RunRecord | null;
  steps: number;
  tokens: number;
  seconds: number;
  /** Mean over the last 50 steps (a tenth of a shorter run), nats per token. */
  trainingLoss: number;
  bestValidationLoss: number;
  bestStep: number | null;
  bitsPerByte: number;
  /** Medians over the steps. */
  tokensPerSecond: number;
  gflops: number;
  gflopsDenseEquivalent: number;
  /** Of the last step. */
  modelSparsity: number;
  /** Means over the steps, milliseconds. */
  partsMs: StepRecord['partsMs'];
}

/** The records of a run by type, each in the order of the steps. */
export interface SortedRecords {
  runs: RunRecord[];
  steps: StepRecord[];
  details: DetailRecord[];
  validations: ValidationRecord[];
  samples: SampleRecord[];
}

/** Sorts records by type and step. */
export function sortRecords(records: readonly MetricsRecord[]): SortedRecords {
  const ofType = <T extends MetricsRecord['type']>(type: T): Extract<MetricsRecord, { type: T }>[] =>
    records
      .filter((record): record is Extract<MetricsRecord, { type: T }> => record.type === type)
      .sort((a, b) => a.step - b.step);
  return {
    runs: ofType('run'),
    steps: ofType('step'),
    details: ofType('detail'),
    validations: ofType('validation'),
    samples: ofType('sample'),
  };
}

/** The summary of a run; numbers that the records do not have are NaN (null in JSON). */
export function summarise(run: ReportRun, records = sortRecords(run.records)): RunSummary {
  const { runs, steps, validations } = records;
  const last = steps.at(-1);
  const lastSteps = steps.slice(-Math.max(1, Math.min(FINAL_STEPS, Math.floor(steps.length / 10))));
  const best = validations.reduce<ValidationRecord | undefined>((a, b) => (a && a.loss <= b.loss ? a : b), undefined);
  const partMs = (part: keyof StepRecord['partsMs']): number =>
    mean(steps.map((step) => step.partsMs?.[part] ?? Number.NaN));
  const teacherMs = partMs('teacher');
  return {
    name: run.name,
    run: runs.at(-1) ?? null,
    steps: last?.step ?? 0,
    tokens: last?.tokens ?? 0,
    seconds: last?.seconds ?? 0,
    trainingLoss: mean(lastSteps.map((step) => step.loss)),
    bestValidationLoss: best?.loss ?? Number.NaN,
    bestStep: best?.step ?? null,
    bitsPerByte: best?.bitsPerByte ?? Number.NaN,
    tokensPerSecond: usual(steps.map((step) => step.tokensPerSecond)),
    gflops: usual(steps.map((step) => step.gflops)),
    gflopsDenseEquivalent: usual(steps.map((step) => step.gflopsDenseEquivalent)),
    modelSparsity: last?.modelSparsity ?? Number.NaN,
    partsMs: {
      data: partMs('data'),
      ...(teacherMs > 0 && { teacher: teacherMs }),
      select: partMs('select'),
      forward: partMs('forward'),
      backward: partMs('backward'),
      optimizer: partMs('optimizer'),
    },
  };
}
