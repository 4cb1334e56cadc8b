/** Numbers for people. */

const UNITS = [
  ['T', 1e12],
  ['G', 1e9],
  ['M', 1e6],
  ['k', 1e3],
] as const;

/** 1 234 567 as 1.23 M. */
export function count(value: number): string {
  for (const [unit, factor] of UNITS) {
    if (Math.abs(value) >= 0.9995 * factor) return `${Number((value / factor).toPrecision(3))} ${unit}`;
  }
  return String(Math.round(value));
}

/** In powers of 1024, as disks and browsers count. */
export function bytes(value: number): string {
  for (const [unit, factor] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (value >= factor) return `${(value / factor).toFixed(value >= 100 * factor ? 0 : 1)} ${unit}`;
  }
  return `${value} bytes`;
}

/** A share of 1. */
export function percent(share: number, decimals = 0): string {
  return `${(100 * share).toFixed(decimals)} %`;
}

/** Three digits, from microseconds to seconds. */
export function duration(ms: number): string {
  if (ms >= 10_000) return `${Number((ms / 1000).toPrecision(3))} s`;
  return `${Number(ms.toPrecision(3))} ms`;
}

export function threeDigits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** Four digits and a unit, as the ticks of an axis have them. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${trim(value / 1e9)} G`;
  if (size >= 1e6) return `${trim(value / 1e6)} M`;
  if (size >= 1e4) return `${trim(value / 1e3)} k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(1);
  return trim(value);
}

/** Four digits. */
export function trim(value: number): string {
  return String(Number(value.toPrecision(4)));
}
