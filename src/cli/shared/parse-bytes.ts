/** A number of bytes on the command line: `4g`, `512m`, `1.5GiB`; powers of 1024. */

import { UsageError } from '../../util/errors.ts';

const UNITS = ['', 'k', 'm', 'g', 't'];

export function parseBytes(name: string): (text: string) => number {
  return (text) => {
    const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
    const bytes = Math.round(Number(number) * 1024 ** UNITS.indexOf((unit ?? '').toLowerCase()));
    if (number !== undefined && bytes >= 1 && Number.isSafeInteger(bytes)) return bytes;
    throw new UsageError(name, `expected a number of bytes such as 512m or 4g, got "${text}".`);
  };
}
