/** The value of `--sparsity` where it replaces a model's own at run time: one share, or shares by point. */

import { POINTS } from '../../model/config.ts';
import type { SparsityOverride } from '../../model/sparsity-override.ts';
import { nearestName, UsageError } from '../../util/errors.ts';
import { parseShare } from './common-options.ts';

/** `0.6`, `60%`, or `qkv=0.6,down=0.9`. */
export function parseSparsity(name: string): (text: string) => SparsityOverride {
  return parseShares(name, POINTS);
}

/** The same of any places. */
export function parseShares<Place extends string>(
  name: string,
  places: readonly Place[],
): (text: string) => number | Partial<Record<Place, number>> {
  const share = parseShare(name);
  return (text) => {
    if (!text.includes('=')) return share(text);
    const pairs = text.split(',').map((pair): [Place, number] => {
      const [place, value = ''] = pair.split('=').map((part) => part.trim());
      return [placeOf(name, places, place), share(value)];
    });
    return Object.fromEntries(pairs) as Partial<Record<Place, number>>;
  };
}

function placeOf<Place extends string>(name: string, places: readonly Place[], text: string): Place {
  const place = places.find((candidate) => candidate === text);
  if (place !== undefined) return place;
  const near = nearestName(text, places);
  const advice = near ? ` Did you mean "${near}"?` : '';
  throw new UsageError(
    name,
    `expected shares of ${places.join(', ')}, such as qkv=0.6,down=0.9, got "${text}".${advice}`,
  );
}
