/**
 * How many threads the C backends use in Node where nobody says: one for each physical core that this process may use.
 *
 * Two hardware threads of one core share its multipliers and its L1 cache, where these kernels keep their tiles: the second one
 * makes dense products slower, not faster. Linux names siblings under /sys; elsewhere the number of usable CPUs is taken.
 */

import { readFileSync } from 'node:fs';
import os from 'node:os';
import { MAX_THREADS } from './thread-count.ts';

/** Physical cores that this process may use, at least 1; a container's CPU quota counts. */
export function defaultThreads(): number {
  const available = os.availableParallelism();
  return Math.max(1, Math.min(available, physicalCores() ?? available, cpuQuota() ?? available, MAX_THREADS));
}

function physicalCores(): number | undefined {
  const cores = new Set<string>();
  for (let cpu = 0; cpu < os.cpus().length; cpu++) {
    const siblings = readOrUndefined(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`);
    if (siblings === undefined) return undefined;
    cores.add(siblings);
  }
  // Without a list of processors nothing was counted.
  return cores.size > 0 ? cores.size : undefined;
}

/** Whole CPUs of the cgroup's quota: more threads than that would be stopped in the middle of a kernel. */
function cpuQuota(): number | undefined {
  const [quota, period] = (readOrUndefined('/sys/fs/cgroup/cpu.max') ?? 'max').split(' ').map(Number);
  return quota > 0 && period > 0 ? Math.max(1, Math.floor(quota / period)) : undefined;
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
