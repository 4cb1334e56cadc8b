/** What an evaluation prints: a table of results; of several sparsities also quality against sparsity; or one JSON object. */

import type { TaskResult } from '../../eval/evaluate.ts';
import type { Mean } from '../../eval/metrics.ts';
import { formatDuration, formatNumber, formatPercent } from '../../util/format.ts';
import type { Output } from '../shared/output.ts';
import type { TableRow } from '../shared/table.ts';

export interface EvalResult extends TaskResult {
  /** Share of the inputs of projections that were zero; null where nothing was run. */
  readonly zeros: number | null;
}

export interface EvalFrame {
  readonly model: string;
  readonly step: number;
  readonly machine: string;
  readonly backend: string;
  /** The text and the protocol of its perplexity. */
  readonly perplexity: ({ readonly text: string; readonly words: string } & object) | null;
}

export function reportResults(output: Output, results: readonly EvalResult[], frame: EvalFrame): void {
  output.line(`${frame.model} on ${frame.backend}`);
  if (frame.perplexity) output.line(`perplexity of ${frame.perplexity.text}: ${frame.perplexity.words}`);
  if (results.length > 0) {
    output.line();
    output.table(results.flatMap(rowsOf));
  }
  const sparsities = [...new Set(results.map(({ sparsity }) => sparsity))];
  if (sparsities.length > 1) {
    output.heading('Quality against sparsity');
    output.table(sparsities.map((sparsity) => sparsityRow(sparsity, results)));
  }
  output.json({ ...frame, results });
}

/** One row for each metric. */
function rowsOf({ task, sparsity, items, isComplete, metrics, perplexity, zeros, seconds }: EvalResult): TableRow[] {
  const common = {
    task: isComplete ? task : `${task} (partly)`,
    ...(sparsity === null ? {} : { sparsity: formatPercent(sparsity, 0) }),
  };
  const times = { zeros: zeros === null ? '-' : formatPercent(zeros), time: formatDuration(seconds) };
  if (perplexity) {
    const { tokens, natsPerToken, natsStderr } = perplexity;
    const row = (metric: string, value: number, stderr: number | null) => ({
      ...common,
      items: tokens,
      metric,
      value: value.toFixed(4),
      '±': stderr?.toFixed(4) ?? '-',
      ...times,
    });
    return [
      row('nats per token', natsPerToken, natsStderr),
      row('perplexity', perplexity.perplexity, natsStderr === null ? null : natsStderr * perplexity.perplexity),
      row('bits per byte', perplexity.bitsPerByte, null),
    ];
  }
  return Object.entries(metrics).map(([metric, mean]) => ({
    ...common,
    items,
    metric,
    value: mean.value.toFixed(4),
    '±': mean.stderr?.toFixed(4) ?? '-',
    ...times,
  }));
}

/** Of each task the metric that it names first; of a text its perplexity. */
function sparsityRow(sparsity: number | null, results: readonly EvalResult[]): TableRow {
  const own = results.filter((result) => result.sparsity === sparsity);
  const means = own.flatMap(({ metrics }): Mean[] => Object.values(metrics).slice(0, 1));
  const seconds = own.reduce((sum, result) => sum + result.seconds, 0);
  return {
    sparsity: sparsity === null ? 'own' : formatPercent(sparsity, 0),
    ...Object.fromEntries(own.map((result) => [result.task, mainValue(result)])),
    ...(means.length > 1
      ? { mean: formatNumber(means.reduce((sum, { value }) => sum + value, 0) / means.length) }
      : {}),
    time: formatDuration(seconds),
  };
}

function mainValue({ perplexity, metrics }: EvalResult): string {
  if (perplexity) return formatNumber(perplexity.perplexity, 4);
  const [mean] = Object.values(metrics);
  return mean === undefined ? '-' : mean.value.toFixed(4);
}
