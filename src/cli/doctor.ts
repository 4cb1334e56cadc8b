/**
 * `qsparse doctor`: what this machine can do, measured, and what is missing.
 *
 * The numbers are the limits that every other speed is judged by: decoding cannot be faster than the memory, training
 * not faster than the matrix product.
 */

import type { Command } from 'commander';
import type { BackendName } from '../backend.ts';
import { defaultThreads } from '../backends/default-threads.ts';
import { loadBackend } from '../backends/load-backend.ts';
import { BackendError } from '../util/errors.ts';
import { formatBytes, formatNumber, formatPercent } from '../util/format.ts';
import { type Measurement, measureBackend } from './doctor/measure.ts';
import { type BackendProbe, findCompiler, listMissing, probeBackends, probeInstructionSets } from './doctor/probe.ts';
import { addCommonOptions, type CommonOptions } from './shared/common-options.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './shared/interrupt.ts';
import { describeMachine, type Machine } from './shared/machine.ts';
import { Output } from './shared/output.ts';
import type { Column } from './shared/table.ts';

interface DoctorOptions extends CommonOptions {
  measure: boolean;
}

const HELP = `
Without --backend the fastest backend that works is measured, on one thread and on all.

Examples:
  $ qsparse doctor
  $ qsparse doctor --backend wasm --json`;

const COLUMNS: readonly Column[] = [
  { key: 'threads' },
  { key: 'gbPerSecond', title: 'memory GB/s' },
  { key: 'gflops', title: 'GFLOP/s' },
  { key: 'sparseSpeedup', title: 'top-K product', format: times },
  { key: 'selectShare', title: 'selection', format: (share: number) => formatPercent(share) },
  { key: 'sparseDecodeSpeedup', title: 'top-K token', format: times },
];

export function register(program: Command): void {
  const command = program
    .command('doctor')
    .description('what this machine can do and what is missing')
    .option('--no-measure', 'look only, in a second, without measuring')
    .addHelpText('after', HELP);
  addCommonOptions(command).action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  const output = new Output(options);
  const machine = describeMachine();
  printMachine(output, machine);

  const compiler = await findCompiler();
  const backends = await probeBackends(options.threads === undefined ? {} : { threads: options.threads });
  const instructionSets = await probeInstructionSets();
  output.heading('Backends');
  output.table(
    backends.map(({ name, works, text }) => ({ name, works: works ? 'yes' : 'no', description: works ? text : '' })),
  );
  output.line(`C compiler        ${compiler ? `${compiler.command}: ${compiler.version}` : 'none'}`);
  output.line(`instruction sets  ${instructionSets.join(', ') || 'none without the native backend'}`);

  const chosen = options.backend ?? fastest(backends);
  const measured = options.measure ? await measure(output, chosen, options.threads ?? defaultThreads()) : [];
  printMeasured(output, chosen, measured);

  const missing = listMissing(compiler, backends);
  output.heading('Missing');
  for (const line of missing.length > 0 ? missing : ['nothing']) output.line(line);
  output.json({ machine, compiler, backends, instructionSets, chosen, measured, missing });
}

/** One thread and all of them; the seconds that it takes are shown as it goes, Ctrl-C ends it between two parts. */
async function measure(output: Output, name: BackendName, threads: number): Promise<Measurement[]> {
  if (name === 'reference') {
    output.note('The reference backend is written to be read, not to be fast; it is not measured.');
    return [];
  }
  const status = output.progress();
  const interrupt = onInterrupt();
  const measured: Measurement[] = [];
  try {
    for (const count of new Set([1, threads])) {
      const backend = await loadBackend({ backend: name, threads: count });
      try {
        const label = `measuring ${name}, ${count} thread${count === 1 ? '' : 's'}`;
        measured.push(
          await measureBackend(backend, (part) => {
            interrupt.signal.throwIfAborted();
            status.update({ label: `${label}: ${part}` });
          }),
        );
      } finally {
        backend.dispose();
      }
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.exitCode = INTERRUPTED_EXIT_CODE;
  } finally {
    status.done();
    interrupt.dispose();
  }
  return measured;
}

function fastest(backends: readonly BackendProbe[]): BackendName {
  const working = backends.find(({ works }) => works);
  if (working === undefined) throw new BackendError('doctor', `no backend works: ${backends[0].text}`);
  return working.name;
}

function printMachine(output: Output, machine: Machine): void {
  output.line(`processor  ${machine.cpu}`);
  output.line(`cores      ${machine.cores}`);
  output.line(`memory     ${formatBytes(machine.memoryBytes)}`);
  output.line(`system     ${machine.os}`);
  output.line(`Node.js    ${machine.node}`);
}

function printMeasured(output: Output, name: BackendName, measured: readonly Measurement[]): void {
  if (measured.length === 0) return;
  output.heading(`Measured: ${name}`);
  output.table(
    measured.map((row) => ({ ...row })),
    { columns: COLUMNS },
  );
  output.line('Memory: weights read for one token. GFLOP/s: dense product, 1024^3. Top-K: 60 % of the');
  output.line('inputs zero, selection included, against dense: many tokens (product), one (token).');
  output.line('The best of several runs; other work on the machine lowers them.');
}

function times(speedup: number): string {
  return `${formatNumber(speedup)} x`;
}
