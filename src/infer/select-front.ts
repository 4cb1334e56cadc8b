/**
 * selectFront: the best of many tokens without sorting them, for top-k and top-p.
 *
 * Quickselect (Hoare 1961): partition around one token, go on with the side that holds the cut; expected time is linear. The cut
 * lies where a count or a mass is reached, and the mass of a part is summed while it is made.
 */

/**
 * Moves the fewest best of `ids[0 .. count)` that reach `target` to the front and returns how many they are, all where they do not
 * reach it; within the two parts the order is not defined. Rank: the larger key, of equal keys the lower id; keys are not NaN.
 * `target` above 0 is a number of ids, or by 'mass' a sum of their keys.
 */
export function selectFront(
  ids: Int32Array,
  count: number,
  keys: Float64Array,
  target: number,
  measure: 'count' | 'mass',
): number {
  const byMass = measure === 'mass';
  let [low, high] = [0, count];
  let reached = 0; // by ids[0 .. low), which are in for sure; ids[high .. count) are out for sure
  let random = 1;
  while (low < high) {
    // Any fixed choice has an order of keys that makes it quadratic; a scrambled one meets it by bad luck only.
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    const at = low + (random % (high - low));
    const pivot = ids[at];
    const pivotKey = keys[pivot];
    ids[at] = ids[high - 1];
    let end = low;
    let mass = 0;
    for (let i = low; i < high - 1; i++) {
      const id = ids[i];
      const key = keys[id];
      if (key > pivotKey || (key === pivotKey && id < pivot)) {
        ids[i] = ids[end];
        ids[end++] = id;
        mass += byMass ? key : 1;
      }
    }
    ids[high - 1] = ids[end];
    ids[end] = pivot;
    if (reached + mass >= target) {
      high = end;
    } else {
      low = end + 1;
      reached += mass + (byMass ? pivotKey : 1);
      if (reached >= target) return low;
    }
  }
  return low;
}
