/**
 * tokenChanges: which tokens of a text are not in another one, in order: what sparsity changed.
 *
 * The longest common subsequence of the two, so that a word more or less does not mark all that follows. Quadratic in memory, so long texts are
 * compared by their first tokens only.
 */

/** So many are compared: 1000 by 1000 numbers are 2 MB. */
export const MOST_TOKENS = 1000;

/** For each id of `a` whether it has no partner in `b`; false beyond the tokens that are compared. */
export function tokenChanges(a: readonly number[], b: readonly number[]): boolean[] {
  const [rows, cols] = [Math.min(a.length, MOST_TOKENS), Math.min(b.length, MOST_TOKENS)];
  // common[i][j]: the length for what follows i in a and j in b.
  const common = new Uint16Array((rows + 1) * (cols + 1));
  const at = (i: number, j: number) => i * (cols + 1) + j;
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = cols - 1; j >= 0; j--) {
      common[at(i, j)] =
        a[i] === b[j] ? common[at(i + 1, j + 1)] + 1 : Math.max(common[at(i + 1, j)], common[at(i, j + 1)]);
    }
  }
  const changed = a.map((_, i) => i < MOST_TOKENS);
  for (let i = 0, j = 0; i < rows && j < cols; ) {
    if (a[i] === b[j]) {
      changed[i++] = false;
      j++;
    } else if (common[at(i + 1, j)] >= common[at(i, j + 1)]) i++;
    else j++;
  }
  return changed;
}
