/**
 * `qsparse law sweep`: trains the grid of a plan, one process a run, and writes a table that `law fit` reads.
 *
 *     OUT/runs.csv        a line for each run of the grid
 *     OUT/rates.csv       a line for each learning rate that was tried
 *     OUT/runs/NAME       the run directories, with NAME.log beside them
 *     OUT/tokenizer.json  of the first run, shared by all
 *     OUT/texts.json      what they are trained and measured on, so that another text is refused
 *
 * First the rates, and those beyond while the best is at an end; one at which training diverges is tried and not better. Then the grid, whose dense run at the best rate is not trained again. What is in the tables is skipped, what is begun is
 * resumed, so the same command goes on after a kill at any point.
 */

import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { lockRunDirectory } from '../../formats/run-lock.ts';
import { DivergenceError } from '../../train/divergence-error.ts';
import { messageOf, TrainingError, UsageError, withoutPlace } from '../../util/errors.ts';
import { formatBytes, formatCount, formatDuration } from '../../util/format.ts';
import { addBackendOption, addJsonOption, type CommonOptions, parsePositiveInteger } from '../shared/common-options.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from '../shared/interrupt.ts';
import { describeMachine } from '../shared/machine.ts';
import { Output } from '../shared/output.ts';
import { parseBytes } from '../shared/parse-bytes.ts';
import {
  cellsOf,
  loadSweepPlan,
  runOf,
  type SweepCell,
  type SweepPlan,
  type SweepRun,
  tuningCells,
} from './sweep-plan.ts';
import { bestRate, nextRate } from './sweep-rates.ts';
import { trainingBytes, workOf } from './sweep-resources.ts';
import { discardRun, divergedRow, type SweepFiles, sharedTokenizer, trainRun } from './sweep-run.ts';
import { hasDiverged, type SweepRow, SweepTable } from './sweep-table.ts';
import { prepareTexts } from './sweep-texts.ts';

/** Seeds are those of the plan. */
interface SweepOptions extends Omit<CommonOptions, 'seed'> {
  text: string[];
  validation?: string[];
  out: string;
  jobs: number;
  memory?: number;
  discard: boolean;
  dryRun: boolean;
}

const HELP = `
PLAN is a module that exports \`plan\`: sizes x formats x sparsities x seeds, and the learning rates to try; docs/scaling-law.md has its fields.
Ctrl-C lets the runs save; the same command goes on. With --validation losses are of that text, the same for all runs and seeds.

Examples:
  $ qsparse law sweep plan.mjs --text books --validation unseen --out sweep --jobs 2 --threads 1
  $ qsparse law sweep plan.mjs --text books --out sweep --dry-run`;

export function registerSweep(law: Command): void {
  const command = law
    .command('sweep')
    .description('train the grid of a plan: resumable, one CSV line a run')
    .argument('<plan>', 'module that exports a plan')
    .requiredOption('--text <path...>', 'text files or folders to train on')
    .option(
      '--validation <path...>',
      'text files or folders to measure losses on (default: documents held out of --text)',
    )
    .requiredOption('--out <folder>', 'tables and run directories')
    .option('--jobs <n>', 'runs side by side', parsePositiveInteger('--jobs'), 1)
    .option(
      '--memory <size>',
      'that all runs together may take, such as 2g (default: of the machine)',
      parseBytes('--memory'),
    )
    .option('--discard', 'remove tokens and checkpoints of finished runs', false)
    .option('--dry-run', 'say what would be trained, and train nothing', false)
    .addHelpText('after', HELP);
  addJsonOption(command).option('--threads <n>', 'threads of each run (default: 1)', parsePositiveInteger('--threads'));
  addBackendOption(command).action(sweep);
}

/** Operations a second of one core with AVX2 in small models, for a first idea of the time; a sweep that runs measures its own. */
const ROUGH_SPEED = 30e9;

async function sweep(planPath: string, options: SweepOptions): Promise<void> {
  const output = new Output(options);
  const plan = await loadSweepPlan(planPath);
  // All settings are checked before hours are spent on the first.
  const rates = plan.rates ?? [null];
  const tuning =
    plan.rates === null ? [] : tuningCells(plan).flatMap((cell) => rates.map((rate) => runOf(plan, cell, rate)));
  const grid = cellsOf(plan);
  const memory = options.memory ?? describeMachine().memoryBytes;
  const planned = [...tuning, ...grid.map((cell) => runOf(plan, cell, rates[0]))];
  refuseTooLarge(planned, memory);
  const lock = options.dryRun ? null : lockRunDirectory(options.out);
  try {
    const runs = new SweepTable(join(options.out, 'runs.csv'));
    const tried = new SweepTable(join(options.out, 'rates.csv'));
    if (options.dryRun) return describe(output, { plan, tuning, grid, runs, tried });
    const { out, text, threads = 1, backend = null } = options;
    const validation = await prepareTexts(options);
    const files: SweepFiles = { out, text, validation, threads, backend };
    await new Sweep({ plan, files, runs, tried, output, memory, options }).run(tuning, grid);
  } finally {
    lock?.release();
  }
}

function refuseTooLarge(runs: readonly SweepRun[], memory: number): void {
  const [largest] = runs.toSorted((a, b) => trainingBytes(b) - trainingBytes(a));
  const needed = trainingBytes(largest);
  if (needed <= memory) return;
  throw new UsageError(
    '--memory',
    `${largest.name} takes about ${formatBytes(needed)}: expected at most ${formatBytes(memory)}. Give more, or a smaller batch.`,
  );
}

function describe(
  output: Output,
  {
    plan,
    tuning,
    grid,
    runs,
    tried,
  }: { plan: SweepPlan; tuning: SweepRun[]; grid: SweepCell[]; runs: SweepTable; tried: SweepTable },
): void {
  const [rate = null] = plan.rates ?? [];
  const sized = Object.keys(plan.sizes).map((size) => {
    const run = runOf(plan, grid.find((cell) => cell.size === size)!, rate);
    const steps = run.train.steps * run.train.batchSize * run.train.accumulate * run.train.seqLen;
    return { size, parameters: run.parameters, tokens: steps, memory: formatBytes(trainingBytes(run)) };
  });
  output.table(sized);
  // The dense runs of the grid are among those that rates are tried on.
  const tuned = new Set(plan.rates === null ? [] : tuningCells(plan).map((cell) => runOf(plan, cell, rate).name));
  const further = grid.map((cell) => runOf(plan, cell, rate)).filter(({ name }) => !tuned.has(name));
  const work = [...tuning, ...further].reduce((sum, run) => sum + workOf(run.model, run.train), 0);
  const hours = formatDuration(work / (2 * ROUGH_SPEED));
  output.line(
    `\n${tuning.length} runs for the learning rate (${tried.rows.length} done; more where the best is at an end), ${further.length} further of the grid`,
  );
  output.line(`${grid.length} lines in the table (${runs.rows.length} done)`);
  output.line(
    `${formatCount(work)} operations, counted as dense; at ${formatCount(ROUGH_SPEED)} a second and core, two cores take ${hours}`,
  );
  output.json({ sizes: sized, rateRuns: tuning.length, gridRuns: grid.length, operations: work });
}

interface SweepParts {
  plan: SweepPlan;
  files: SweepFiles;
  runs: SweepTable;
  tried: SweepTable;
  output: Output;
  memory: number;
  options: SweepOptions;
}

class Sweep {
  readonly #parts: SweepParts;
  #secondsDone = 0;
  #workDone = 0;
  #failures = 0;
  /** Cells whose next rate does not go with the plan. */
  readonly #refused = new Set<SweepCell>();

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  async run(tuning: readonly SweepRun[], grid: readonly SweepCell[]): Promise<void> {
    const { output, runs, plan } = this.#parts;
    const interrupt = onInterrupt(() => output.note('stopping: the runs save; the same command goes on'));
    const { signal } = interrupt;
    try {
      await this.#tuneRates(tuning, signal);
      if (!signal.aborted && this.#failures === 0) {
        const chosen = grid.map((cell) => runOf(plan, cell, this.#rateOf(cell)));
        this.#takeTuned(chosen);
        await this.#trainAll(chosen, runs, signal);
      }
    } finally {
      interrupt.dispose();
    }
    if (signal.aborted) process.exitCode = INTERRUPTED_EXIT_CODE;
    else if (this.#failures > 0) process.exitCode = 1;
    else output.line(`${runs.rows.length} runs in ${runs.path}: qsparse law fit ${runs.path}`);
    output.json({ table: runs.path, runs: runs.rows.length, failures: this.#failures, stopped: signal.aborted });
  }

  /** Tries the rates of the plan, then those beyond while the best of a size and format stands at an end. */
  async #tuneRates(tuning: readonly SweepRun[], signal: AbortSignal): Promise<void> {
    const { plan, tried, output } = this.#parts;
    if (plan.rates === null) return;
    await this.#trainAll(tuning, tried, signal);
    const cells = tuningCells(plan);
    while (!signal.aborted && this.#failures === 0) {
      const further = cells.flatMap((cell) => {
        const rate = nextRate(this.#triedOf(cell), plan.rates!.length);
        return rate === null ? [] : this.#beyondPlan(cell, rate);
      });
      if (further.length === 0) break;
      output.line(
        `the best learning rate of ${further.map(({ size, format }) => `${size} ${format}`).join(', ')} is at an end`,
      );
      await this.#trainAll(further, tried, signal);
    }
  }

  /** The run of a rate that the plan does not have; none where the rest of the plan does not go with it (minLr, stageTwoLr): the best so far is the best then. */
  #beyondPlan(cell: SweepCell, rate: number): SweepRun[] {
    try {
      return [runOf(this.#parts.plan, cell, rate)];
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      // It is asked for again as long as another cell goes on.
      if (this.#refused.has(cell)) return [];
      this.#refused.add(cell);
      this.#parts.output.note(`a learning rate of ${rate} is not tried: ${withoutPlace(error.message)}`);
      return [];
    }
  }

  /** The rates that were tried on the dense model of a cell's size and format. */
  #triedOf({ size, format }: SweepCell): SweepRow[] {
    const { plan, tried } = this.#parts;
    const [dense] = tuningCells(plan).filter((cell) => cell.size === size && cell.format === format);
    const rows = tried.rows.filter((row) => row.size === size && row.format === format);
    return rows.filter((row) => tried.find(runOf(plan, dense, row.lr)) === row);
  }

  /** null where the plan has no rates. Throws TrainingError where training diverged at all of them. */
  #rateOf(cell: SweepCell): number | null {
    if (this.#parts.plan.rates === null) return null;
    const tried = this.#triedOf(cell);
    const best = bestRate(tried);
    if (!tried.every(hasDiverged)) return best;
    const what = `${cell.size} ${cell.format} diverged at every learning rate down to ${best}`;
    throw new TrainingError('sweep', `${what}: expected one at which it trains. Add lower rates to the plan.`);
  }

  /** A dense run at the chosen rate was trained while rates were tried. */
  #takeTuned(chosen: readonly SweepRun[]): void {
    const { runs, tried } = this.#parts;
    for (const run of chosen) {
      const row = tried.find(run);
      if (row !== undefined && runs.find(run) === undefined) runs.add(row);
    }
  }

  /** Trains what the table lacks, as many side by side as jobs and memory allow. */
  async #trainAll(wanted: readonly SweepRun[], table: SweepTable, signal: AbortSignal): Promise<void> {
    const { options, files, output } = this.#parts;
    const waiting = wanted.filter((run) => table.find(run) === undefined);
    if (wanted.length > 0)
      output.line(`${wanted.length} runs for ${table.path}, ${wanted.length - waiting.length} of them done`);
    // The first run trains the tokenizer that all others take.
    if (waiting.length > 0 && !existsSync(sharedTokenizer(options.out))) {
      const first = waiting.shift()!;
      if (!(await this.#trainOne(first, table, waiting, signal))) return;
      copyFileSync(join(files.out, 'runs', first.name, 'tokenizer.json'), sharedTokenizer(options.out));
    }
    const running = new Set<Promise<unknown>>();
    let bytes = 0;
    while ((waiting.length > 0 && !signal.aborted) || running.size > 0) {
      const next = waiting[0];
      const fits =
        next &&
        running.size < options.jobs &&
        (running.size === 0 || bytes + trainingBytes(next) <= this.#parts.memory);
      if (!fits || signal.aborted) {
        await Promise.race(running);
        continue;
      }
      waiting.shift();
      bytes += trainingBytes(next);
      const job: Promise<unknown> = this.#trainOne(next, table, waiting, signal).finally(() => {
        running.delete(job);
        bytes -= trainingBytes(next);
      });
      running.add(job);
    }
  }

  /** false where it was stopped or failed, which is said; a sweep goes on with the other runs. */
  async #trainOne(
    run: SweepRun,
    table: SweepTable,
    waiting: readonly SweepRun[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { files, output, options } = this.#parts;
    const begun = performance.now();
    try {
      const row = await this.#rowOf(run, table, signal);
      if (row === null) return false;
      table.add(row);
      if (options.discard) discardRun(run, files);
      this.#report(run, row, (performance.now() - begun) / 1000, waiting);
      return true;
    } catch (error) {
      this.#failures++;
      output.warn(messageOf(error));
      return false;
    }
  }

  /** Of the rates that are tried one may be too high: that is a result, everywhere else it is a failure. */
  async #rowOf(run: SweepRun, table: SweepTable, signal: AbortSignal): Promise<SweepRow | null> {
    const { files, tried, output } = this.#parts;
    try {
      return await trainRun(run, files, signal, (line) => output.note(line));
    } catch (error) {
      if (!(error instanceof DivergenceError) || table !== tried) throw error;
      return divergedRow(run, files);
    }
  }

  #report(run: SweepRun, row: SweepRow, seconds: number, waiting: readonly SweepRun[]): void {
    this.#secondsDone += seconds;
    this.#workDone += workOf(run.model, run.train);
    const left = waiting.reduce((sum, other) => sum + workOf(other.model, other.train), 0);
    const time = ((this.#secondsDone / this.#workDone) * left) / this.#parts.options.jobs;
    const wait = waiting.length === 0 ? '' : `; ${waiting.length} wait, about ${formatDuration(time)}`;
    const result = hasDiverged(row) ? 'diverged' : `${row.loss.toFixed(4)} nats`;
    this.#parts.output.line(`${run.name}: ${result}, ${formatDuration(seconds)}${wait}`);
  }
}
