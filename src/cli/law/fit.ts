/** `qsparse law fit`: the law of one's own runs, with intervals and with what else the runs say about it. */

import type { Command } from 'commander';
import { analyseLaw, type LawAnalysis } from '../../scaling/analyse-law.ts';
import { type LawRun, readLawRuns, SIZE_UNIT, type SparsityColumn } from '../../scaling/law-runs.ts';
import { UsageError } from '../../util/errors.ts';
import { formatNumber, formatPercent } from '../../util/format.ts';
import {
  addJsonOption,
  type CommonOptions,
  parseChoice,
  parseInteger,
  parseNumber,
  parsePositiveInteger,
} from '../shared/common-options.ts';
import { Output } from '../shared/output.ts';
import { CONSTANTS_VERSION, type MeasuredRange } from './law-constants.ts';
import { readText } from './read-text.ts';
import { checkSameTokens } from './same-tokens.ts';

export interface FitCommandOptions extends CommonOptions {
  sparsityColumn: SparsityColumn;
  withTokens: boolean;
  draws: number;
  confidence: number;
  delta: number;
}

const HELP = `
RUNS.csv has a line for each run, with the columns parameters (N, of the blocks), sparsity (S) and loss; a law is fitted for each
value of a column format (float where there is none). Loss may be in any unit; N and D are in millions in what is printed.

Examples:
  $ qsparse law fit runs.csv
  $ qsparse law fit runs.csv --json > constants.json`;

export function registerFit(law: Command): void {
  const command = law
    .command('fit')
    .description('constants of the law, with intervals, from a table of runs')
    .argument('<runs>', 'CSV with columns parameters, sparsity, loss')
    .option(
      '--sparsity-column <name>',
      'where S stands: sparsity (asked for) or zeros (measured)',
      parseChoice('--sparsity-column', ['sparsity', 'zeros'] as const),
      'sparsity' as const,
    )
    .option('--with-tokens', 'fit a term F / D^gamma of the column tokens too', false)
    .option('--draws <n>', 'of the bootstrap', parsePositiveInteger('--draws'), 1000)
    .option('--confidence <share>', 'of the intervals', parseNumber('--confidence', { min: 0.5, max: 0.999 }), 0.95)
    .option('--delta <x>', 'of the Huber loss', parseNumber('--delta', { min: 1e-9, max: 10 }), 1e-3)
    .option('--seed <n>', 'of the bootstrap', parseInteger('--seed'), 0)
    .addHelpText('after', HELP);
  addJsonOption(command).action(fit);
}

function fit(path: string, options: FitCommandOptions): void {
  const output = new Output(options);
  const runs = readLawRuns(readText(path), path, options.sparsityColumn);
  if (options.withTokens && runs.some(({ tokens }) => tokens === undefined)) {
    throw new UsageError('--with-tokens', `${path} has no column tokens. Leave the option out, or add the column.`);
  }
  const laws = Object.fromEntries(
    [...new Set(runs.map(({ format }) => format))].map((format) => {
      const own = runs.filter((run) => run.format === format);
      output.note(`fitting ${own.length} runs of ${format}, ${options.draws} draws`);
      return [format, { ...analyseFormat(format, own, options), measured: measuredRange(own) }];
    }),
  );
  for (const [format, analysis] of Object.entries(laws)) printAnalysis(output, format, analysis);
  output.json({ formatVersion: CONSTANTS_VERSION, sizeUnit: SIZE_UNIT, tokenUnit: SIZE_UNIT, source: path, laws });
}

function analyseFormat(format: string, runs: readonly LawRun[], options: FitCommandOptions): LawAnalysis {
  const { withTokens, draws, confidence, delta, seed } = options;
  if (!withTokens) checkSameTokens(format, runs, 'Add --with-tokens, or fit those of one');
  return analyseLaw(runs, { tokens: withTokens, draws, confidence, delta, seed });
}

function measuredRange(runs: readonly LawRun[]): MeasuredRange {
  const range = (values: readonly number[]) => [Math.min(...values), Math.max(...values)] as const;
  const tokens = runs.flatMap((run) => run.tokens ?? []);
  return {
    sizes: range(runs.map(({ size }) => size)),
    sparsities: range(runs.map(({ sparsity }) => sparsity)),
    tokens: tokens.length > 0 ? range(tokens) : null,
  };
}

function printAnalysis(output: Output, format: string, analysis: LawAnalysis): void {
  const { bootstrap, optimum, b, drift, forms, noise } = analysis;
  const sure = formatPercent(bootstrap.confidence, 0);
  output.heading(`${format}: L = ${analysis.formula}, ${analysis.runs} runs`);
  const rows = Object.entries(analysis.constants).map(([name, value]) => ({
    constant: name,
    value: constant(value),
    ...intervalCells(bootstrap.constants[name], sure, constant),
  }));
  const { low, high } = bootstrap.optimum;
  output.table([
    ...rows,
    { constant: 'S*', value: share(optimum.sparsity), ...intervalCells({ low, high }, sure, share) },
  ]);
  output.line(`
errors of the fit: ${formatPercent(analysis.rmsLogError, 2)} of the loss${noise ? `; of a repeated run with another seed: ${formatPercent(noise.logDeviation, 2)} (${noise.points} ${noise.points === 1 ? 'point' : 'points'})` : ''}
S* by profile likelihood, ${sure}: ${profileText(optimum.profile)}; above zero in ${share(bootstrap.aboveZero)} of the draws
at S* the reducible loss is ${formatPercent(1 - optimum.lossOverDense)} below that of a dense model with as many activated parameters,
or ${formatNumber(optimum.parametersSaved)} times fewer activated parameters give the loss of dense
B: ${bText(b)}
alpha over S: drift ${formatNumber(drift.value, 3)} (${formatNumber(drift.interval.low, 3)} to ${formatNumber(drift.interval.high, 3)}) in 1 / N^(alpha + drift S), N in units of the geometric mean of the runs`);
  output.heading('Forms, each size predicted from the others');
  output.table(
    forms.map(({ formula, optimum: at, rmsLogError, crossValidation }) => ({
      law: formula,
      'S*': share(at),
      'error of the fit': formatPercent(rmsLogError, 2),
      'of sizes left out': crossValidation ? formatPercent(crossValidation.rmsLogError, 2) : '-',
      'of the largest': crossValidation ? formatPercent(crossValidation.largestRmsLogError, 2) : '-',
    })),
  );
}

/** A scale that the fit has driven to nothing is 0 for a reader. */
const constant = (value: number) => (Math.abs(value) < 1e-9 ? '0' : formatNumber(value, 4));
const share = (value: number) => formatPercent(value);

function intervalCells(
  { low, high }: { low: number; high: number },
  sure: string,
  text: (bound: number) => string,
): Record<string, string> {
  return { [`${sure} from`]: text(low), to: text(high) };
}

function profileText({ low, high }: LawAnalysis['optimum']['profile']): string {
  const from = low === null || low <= 0 ? 'from 0 (zeros may not pay)' : `from ${share(low)}`;
  return `${from} to ${high === null ? 'no upper end' : share(high)}`;
}

function bText({ shareOfA, devianceWithout, identified, optimumWithout }: LawAnalysis['b']): string {
  const part = `${formatPercent(shareOfA)} of A(0)`;
  if (identified) return `${part}; the runs need it (deviance without it: ${formatNumber(devianceWithout)})`;
  return `${part}, but not identified: without it the fit is as good, and S* is ${share(optimumWithout)}`;
}
