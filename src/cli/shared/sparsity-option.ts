/** The value of `--sparsity` where it replaces a model's own at run time: one share, or shares by point. */

import { POINTS, type Point } from '../../model/config.ts';
import type { SparsityOverride } from '../../model/sparsity-override.ts';
import { nearestName, UsageError } from '../../util/errors.ts';
import { parseShare } from './common-options.ts';

/** `0.6`, `60%`, or `qkv=0.6,down=0.9`. */
export function parseSparsity(name: string): (text: string) => SparsityOverride {
  const share = parseShare(name);
  return (text) => {
    if (!text.includes('=')) return share(text);
    const pairs = text.split(',').map((pair): [Point, number] => {
      const [point, value = ''] = pair.split('=').map((part) => part.trim());
      return [pointOf(name, point), share(value)];
    });
    return Object.fromEntries(pairs);
  };
}

function pointOf(name: string, text: string): Point {
  const point = POINTS.find((candidate) => candidate === text);
  if (point !== undefined) return point;
  const near = nearestName(text, POINTS);
  const advice = near ? ` Did you mean "${near}"?` : '';
  throw new UsageError(
    name,
    `expected shares of ${POINTS.join(', ')}, such as qkv=0.6,down=0.9, got "${text}".${advice}`,
  );
}
