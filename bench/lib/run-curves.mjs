/**
 * What a study takes from the `metrics.jsonl` of a run: its curves, thinned, and its quality at the end.
 *
 * Seconds are those of training alone, without validation, samples and saving, as metrics.jsonl counts them.
 */

const SMOOTHING_STEPS = 20;
const POINTS = 120;
const TAIL_STEPS = 50;

/** The records of a run, what a resumed part did again counted once. Reads with the built program. */
export async function readRecords(directory) {
  const { readRun } = await import('../../dist/report/read-metrics.js');
  return (await readRun(directory)).records;
}

/** Training loss by tokens and by seconds, smoothed over SMOOTHING_STEPS and thinned to POINTS, and all validations. */
export function curveOf(records) {
  const steps = records.filter(({ type }) => type === 'step');
  const smoothed = steps.map(({ tokens, seconds }, i) => {
    const around = steps.slice(Math.max(0, i - SMOOTHING_STEPS + 1), i + 1);
    const loss = mean(around.map((step) => step.loss));
    return { tokens, seconds: Number(seconds.toFixed(2)), loss: Number(loss.toFixed(4)) };
  });
  const every = Math.ceil(smoothed.length / POINTS);
  const points = smoothed.filter((_, i) => i >= SMOOTHING_STEPS && (i % every === 0 || i === smoothed.length - 1));
  const validation = records
    .filter(({ type }) => type === 'validation')
    .map(({ tokens, seconds, loss }) => ({ tokens, seconds: Number(seconds.toFixed(2)), loss }));
  return { points, validation };
}

/** Configuration, losses and zeros at the end of a run; null where the run recorded none. */
export function qualityOf(records) {
  const last = (type) => records.findLast((record) => record.type === type) ?? null;
  const [run, step, validation, detail] = ['run', 'step', 'validation', 'detail'].map(last);
  const losses = records.filter(({ type }) => type === 'step').map(({ loss }) => loss);
  const validations = records.filter(({ type }) => type === 'validation').map(({ loss }) => loss);
  return {
    hiddenL1: run?.model.hiddenL1 ?? 0,
    dim: run?.model.dim ?? null,
    steps: step?.step ?? 0,
    tokens: step?.tokens ?? 0,
    seconds: step?.seconds ?? 0,
    trainLoss: losses.length > 0 ? mean(losses.slice(-TAIL_STEPS)) : null,
    validationLoss: validation?.loss ?? null,
    bestValidationLoss: validations.length > 0 ? Math.min(...validations) : null,
    downZeros: detail ? mean(detail.sparsity.down) : null,
    deadChannels: detail ? mean(detail.deadChannels) : null,
  };
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
