/**
 * Energy of the processor packages, where Linux shows a counter (RAPL, /sys/class/powercap): what all programs on the machine take together.
 */

import { readdirSync, readFileSync } from 'node:fs';
import type { EnergyMeter } from '../../bench/bench-inference.ts';
import { messageOf, UsageError } from '../../util/errors.ts';

const ROOT = '/sys/class/powercap';

interface Counter {
  readonly file: string;
  /** The counter starts again at 0 beyond it, in microjoules. */
  readonly range: number;
  last: number;
  total: number;
}

/** Throws UsageError where there is no counter, or none that may be read. */
export function openEnergyMeter(root = ROOT): EnergyMeter {
  const counters = packagesOf(root).map((folder): Counter => {
    const file = `${root}/${folder}/energy_uj`;
    return { file, range: readNumber(`${root}/${folder}/max_energy_range_uj`), last: readNumber(file), total: 0 };
  });
  return {
    joules() {
      for (const counter of counters) {
        const now = readNumber(counter.file);
        counter.total += now >= counter.last ? now - counter.last : now + counter.range - counter.last;
        counter.last = now;
      }
      return counters.reduce((sum, { total }) => sum + total, 0) / 1e6;
    },
  };
}

/** `intel-rapl:0` is a package (AMD's too); `intel-rapl:0:0` a part of one. */
function packagesOf(root: string): string[] {
  let names: string[];
  try {
    names = readdirSync(root).filter((name) => /^intel-rapl:\d+$/.test(name));
  } catch {
    names = [];
  }
  if (names.length > 0) return names;
  throw new UsageError(
    '--energy',
    `this machine shows no energy counter: expected ${root}/intel-rapl:0, found none. Leave --energy out.`,
  );
}

function readNumber(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(
      '--energy',
      `the energy counter cannot be read: ${messageOf(error)}. Run as root, or leave --energy out.`,
    );
  }
}
