/**
 * The machine in words: every measured number is printed, saved and reported together with it.
 */

import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { formatBytes } from '../../util/format.ts';

export interface Machine {
  cpu: string;
  /** Logical cores that this process may use. */
  cores: number;
  /** Memory that this process may use: of the container where it has a limit. */
  memoryBytes: number;
  os: string;
  node: string;
}

/** What runs this process. */
export function describeMachine(): Machine {
  // A process without a limit reports 0, nothing, or a number above the memory of the machine.
  const limit = process.constrainedMemory?.() || Infinity;
  return {
    cpu: cpus()[0]?.model.replace(/\s+/g, ' ').trim() || `unknown ${arch()}`,
    cores: availableParallelism(),
    memoryBytes: Math.min(totalmem(), limit),
    os: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  };
}

/** One line: `AMD EPYC 7R13, 2 cores, 7.6 GiB, linux 6.1 x64, Node v20.20.2`. */
export function machineText(machine: Machine = describeMachine()): string {
  const cores = `${machine.cores} core${machine.cores === 1 ? '' : 's'}`;
  return `${machine.cpu}, ${cores}, ${formatBytes(machine.memoryBytes)}, ${machine.os}, Node ${machine.node}`;
}
