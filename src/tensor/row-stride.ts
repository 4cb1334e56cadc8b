/**
 * How far apart the rows of packed weights lie: whole cache lines, and an odd number of them where the rows are long.
 *
 * The sets of a cache repeat every few KB. Rows at a distance that is a power of two all begin in the same few sets, and the 8 to 16 rows
 * that a product streams side by side would push each other out; an odd number of lines leads through all sets. Below 1 KB a line
 * more is too large a share of the row.
 */

const LINE_BYTES = 64;
const ODD_FROM_BYTES = 1024;

/** The distance of rows that hold `rowBytes` bytes each. */
export function rowStride(rowBytes: number): number {
  const bytes = wholeLines(rowBytes);
  return bytes >= ODD_FROM_BYTES && (bytes / LINE_BYTES) % 2 === 0 ? bytes + LINE_BYTES : bytes;
}

/** `bytes` rounded up to whole cache lines: where something else may begin behind them. */
export function wholeLines(bytes: number): number {
  return Math.ceil(bytes / LINE_BYTES) * LINE_BYTES;
}
