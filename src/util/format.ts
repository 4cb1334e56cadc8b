/**
 * Numbers for people: three significant digits, a unit, a thousands separator; never a locale of the machine.
 *
 * Programs read `--json`, which carries plain numbers; nothing here is meant to be parsed again.
 */

const MISSING = '-';

/** `1,234,567`: a whole number with separators; `-` where it is not finite. */
export function formatInteger(value: number): string {
  if (!Number.isFinite(value)) return MISSING;
  return Math.round(value).toLocaleString('en-US');
}

/** `0.0123`, `1.23`, `12.3`, `1,234`: about `digits` significant digits; exponents below 1e-4. `-` where not finite. */
export function formatNumber(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return MISSING;
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-4) return value.toExponential(Math.max(0, digits - 1));
  // The size after rounding counts: 0.9996 is 1.00, not 1.000.
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Number(size.toPrecision(digits)))));
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

const DECIMAL_UNITS = ['', ' k', ' M', ' G', ' T'];

/** `950`, `12.3 k`, `1.23 M`, `7.62 G`: powers of 1000, for parameters and tokens. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return MISSING;
  if (Math.abs(value) < 1000) return Number.isInteger(value) ? String(value) : formatNumber(value);
  return scaled(value, 1000, DECIMAL_UNITS);
}

/** `512 B`, `12.3 KiB`, `1.23 GiB`: powers of 1024. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return MISSING;
  if (Math.abs(bytes) < 1024) return `${bytes} B`;
  return scaled(bytes, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let scaledValue = value;
  let unit = 0;
  // 999.5 and above would be printed as 1,000 of the smaller unit.
  while (Math.abs(scaledValue) >= (base === 1000 ? 999.5 : 1023.5) && unit < units.length - 1) {
    scaledValue /= base;
    unit++;
  }
  return formatNumber(scaledValue) + units[unit];
}

/** `850 ms`, `12.3 s`, `3 min 05 s`, `2 h 04 min`, `3 d 02 h` from seconds; `-` where not finite or negative. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return MISSING;
  if (seconds === 0) return '0 s';
  if (seconds < 1e-3) return `${formatNumber(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${formatNumber(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${formatNumber(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return pair(Math.floor(whole / 60), 'min', whole % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(seconds / 3600);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return `${large} ${largeUnit} ${String(small).padStart(2, '0')} ${smallUnit}`;
}

/** `1,234 tokens/s`; rates of a million and more as `1.23 M tokens/s`. */
export function formatRate(perSecond: number, unit: string): string {
  const number = Math.abs(perSecond) < 999_500 ? formatNumber(perSecond) : formatCount(perSecond);
  return `${number} ${unit}/s`;
}

/** `60.0 %` from a share in 0 .. 1. */
export function formatPercent(share: number, decimals = 1): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(decimals)} %` : MISSING;
}
