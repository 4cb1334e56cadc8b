/**
 * The heads of qkv sorted by kind. In memory every token has its queries, then its keys, then its values; seen as rows of headDim features, the
 * norms of queries and of keys each want their rows in one run.
 *
 * `order` lists the rows sorted: the queries of all tokens, their keys, their values; `back` undoes it. Both are ids for the kernel `embedding`,
 * which copies rows.
 */

export interface HeadCounts {
  readonly nHeads: number;
  readonly nKvHeads: number;
}

/** Fills `order` and `back`, [tokens (nHeads + 2 nKvHeads)] each. */
export function fillHeadOrder(
  tokens: number,
  { nHeads, nKvHeads }: HeadCounts,
  order: Int32Array,
  back: Int32Array,
): void {
  const headsOfToken = nHeads + 2 * nKvHeads;
  const kinds = [
    [0, nHeads],
    [nHeads, nKvHeads],
    [nHeads + nKvHeads, nKvHeads],
  ];
  let sorted = 0;
  for (const [first, count] of kinds) {
    for (let token = 0; token < tokens; token++) {
      for (let row = token * headsOfToken + first; row < token * headsOfToken + first + count; row++) {
        order[sorted] = row;
        back[row] = sorted++;
      }
    }
  }
}
