/** Medians, spreads and crossings of measured series. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** (largest - smallest) / median. */
export function spread(values) {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

/** y at x on the line through the points [x, y], x ascending; null outside of them. */
export function interpolate(points, x) {
  for (let i = 1; i < points.length; i++) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    if (x >= x0 && x <= x1) return x1 === x0 ? y1 : y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
  }
  return null;
}

/**
 * The x from which on the line through the points [x, y], x ascending, stays at `level` or above: the first x where it does so
 * everywhere, null where its last point is below.
 */
export function staysAbove(points, level) {
  const last = points.findLastIndex(([, y]) => y < level);
  if (last === points.length - 1) return null;
  if (last < 0) return points[0][0];
  const [[x0, y0], [x1, y1]] = [points[last], points[last + 1]];
  return x0 + ((level - y0) / (y1 - y0)) * (x1 - x0);
}
