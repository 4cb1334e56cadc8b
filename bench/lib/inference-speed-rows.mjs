/** The rows of the study of inference speed, by what they are. */

/** The sparsity that is published for the method, and that the aims are for. */
export const AIM_SPARSITY = 0.6;

/** All rows of a part, [] where it is not on file. */
export function rowsOf(results, part) {
  return (results[part]?.cases ?? []).flatMap((one) => one.rows);
}

export function dtypesOf(rows) {
  return [...new Set(rows.map(({ dtype }) => dtype))];
}

export const isDense = (row) => row.sparsity === 0;
export const isAim = (row) => row.sparsity === AIM_SPARSITY;

/** How many times the weights a batch of `batch` tokens reads in vain at most: its tokens share only the zeros of all of them. */
export function batchLimit(sparsity, batch) {
  return 1 / (1 - sparsity ** batch);
}

/** Bytes that a token touched over those that its zeros leave, less 1. */
export function bytesOverExpected(row) {
  return row.bytesPerToken / row.bytesExpected - 1;
}

/** What was measured beside a peer: `{ part, dtype, batch, peer, dense, sparse }`, one entry a case and batch. */
export function comparisons(results) {
  return ['decode', 'prefill', 'batch', 'gates'].flatMap((part) =>
    (results[part]?.cases ?? []).flatMap(({ rows, peers }) =>
      peers.map((peer) => {
        const own = rows.filter((row) => row.batch === peer.batch);
        const [dense, sparse] = [own.find(isDense), own.find(isAim)];
        return { part, dtype: rows[0].dtype, batch: peer.batch, peer, dense, sparse };
      }),
    ),
  );
}

/** GB/s of the memory: the most that `qsparse doctor` or a row of decoding reached, and which of them it was. */
export function memoryRate(results) {
  const most = (part) => Math.max(0, ...rowsOf(results, part).map((row) => row.gbPerSecond));
  const [measured, reached] = [most('limits'), most('decode')];
  if (measured >= reached) return { gbPerSecond: measured, source: 'measured by qsparse doctor' };
  return { gbPerSecond: reached, source: 'the most that a row reached' };
}
