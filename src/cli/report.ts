/** `qsparse report`: the metrics of one or several runs as one HTML page. */

import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { writeFileAtomically } from '../formats/atomic-write.ts';
import { buildReport } from '../report/build-report.ts';
import type { ReportRun } from '../report/parse-metrics.ts';
import { readRun } from '../report/read-metrics.ts';
import { type RunSummary, summarise } from '../report/summary.ts';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatInteger,
  formatNumber,
  formatPercent,
} from '../util/format.ts';
import { addCommonOptions, type CommonOptions } from './shared/common-options.ts';
import { Output } from './shared/output.ts';
import { refuseOtherPage } from './shared/refuse-other-page.ts';
import type { Column } from './shared/table.ts';

interface ReportCommandOptions extends CommonOptions {
  out?: string;
  title?: string;
}

const HELP = `
One run: the page is RUN/report.html. Several runs: report.html in the current directory, one colour for each run.

Examples:
  $ qsparse report runs/book
  $ qsparse report runs/dense runs/sparse --out comparison.html`;

const COLUMNS: readonly Column[] = [
  { key: 'name', title: 'run' },
  { key: 'steps', format: formatInteger },
  { key: 'tokens', format: formatCount },
  { key: 'seconds', title: 'time', format: formatDuration },
  { key: 'trainingLoss', title: 'loss' },
  { key: 'bestValidationLoss', title: 'validation' },
  { key: 'bitsPerByte', title: 'bits/byte' },
  { key: 'tokensPerSecond', title: 'tokens/s', format: formatNumber },
  { key: 'modelSparsity', title: 'zeros', format: (share: number) => formatPercent(share) },
];

export function register(program: Command): void {
  const command = program
    .command('report')
    .description('make one HTML page of the metrics of runs')
    .argument('<run...>', 'directories that training wrote to (or metrics.jsonl files)')
    .option('--out <file>', 'where to write the page')
    .option('--title <text>', 'heading of the page')
    .addHelpText('after', HELP);
  addCommonOptions(command).action(report);
}

async function report(paths: string[], options: ReportCommandOptions): Promise<void> {
  const output = new Output(options);
  const runs = distinctNames(await Promise.all(paths.map(readRun)), paths);
  const file = options.out ?? (paths.length === 1 ? besideMetrics(paths[0]) : 'report.html');
  refuseOtherPage(file);
  const page = buildReport(runs, options.title === undefined ? {} : { title: options.title });
  writeFileAtomically(file, page);
  const summaries = runs.map((run) => summarise(run));
  output.table(summaries as unknown as Record<string, unknown>[], { columns: COLUMNS });
  output.line(`\n${file} (${formatBytes(Buffer.byteLength(page))}): open it in a browser.`);
  output.json({ file, runs: summaries.map(withoutConfig) });
}

function besideMetrics(path: string): string {
  return path.endsWith('.jsonl') ? join(path, '..', 'report.html') : join(path, 'report.html');
}

/** Runs of the same directory name are told apart by the paths they were given as. */
function distinctNames(runs: readonly ReportRun[], paths: readonly string[]): ReportRun[] {
  return runs.map((run, r) => {
    const isTaken = runs.some((other, o) => o !== r && other.name === run.name);
    return isTaken ? { ...run, name: paths[r].replace(/\/+$/, '') || basename(paths[r]) } : run;
  });
}

function withoutConfig({ run, ...rest }: RunSummary): object {
  const { startedAt, parameters, backend, machine, version } = run ?? {};
  return { ...rest, startedAt, parameters, backend, machine, version };
}
