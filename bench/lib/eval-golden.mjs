/** Comparing saved evaluations with reference results: log-likelihoods and metrics item by item, and means of texts. */

/** Beyond this a log-likelihood is another one, in nats. */
const MOST_NATS = 0.01;
/** Beyond this the mean of dense windows is another one; imposed selections diverge token by token, so that their means have more room. */
const DENSE_NATS = 2e-4;
const SPARSE_NATS = 0.02;
const VERY_SPARSE_NATS = 0.04;

/**
 * `golden`: items of the reference with `ll`, `greedy`, `sha256` and metrics; `records`: saved ones. An item whose metric differs is explained where its two
 * best choices are as close as the tolerance.
 */
export function compareItems(golden, records) {
  const byHash = new Map(records.map((record) => [record.sha256, record]));
  const pairs = golden.map((item) => ({ item, record: byHash.get(item.sha256) }));
  const missing = pairs.filter(({ record }) => record === undefined).length;
  const found = pairs.filter(({ record }) => record !== undefined);
  const differences = found.map(({ item, record }) => Math.max(...item.ll.map((ll, i) => Math.abs(ll - record.ll[i]))));
  const largest = differences.reduce((most, difference) => Math.max(most, difference), 0);
  const differing = found.flatMap(({ item, record }) => differingMetrics(item, record));
  return {
    items: golden.length,
    missing,
    largestNats: largest,
    greedyDiffers: found.filter(({ item, record }) => item.greedy.join() !== record.greedy.join()).length,
    differing,
    isRight: missing === 0 && largest <= MOST_NATS && differing.every(({ lead }) => lead <= 2 * MOST_NATS),
  };
}

/** Metrics of one item that are not those of the reference, with the lead of its best choice, in nats. */
function differingMetrics(item, record) {
  const named = { acc: record.metrics.mc2 ?? record.metrics.acc, acc_norm: record.metrics.acc_norm };
  const [first, second] = [...item.ll].sort((a, b) => b - a);
  const isShare = record.metrics.mc2 !== undefined;
  return Object.entries(named)
    .filter(([name, got]) => item[name] !== undefined && Math.abs(item[name] - got) > (isShare ? MOST_NATS : 0))
    .map(([metric, got]) => ({ item: item.i, metric, expected: item[metric], got, lead: first - second }));
}

/** `rows` of the reference with sparsity and meanNats; `results` of `qsparse eval`. */
export function compareMeans(rows, results) {
  return rows.map(({ sparsity, meanNats }) => {
    const result = results.find((one) => one.sparsity === sparsity);
    const got = result?.perplexity?.natsPerToken ?? Number.NaN;
    const bound = sparsity === 0 ? DENSE_NATS : sparsity < 0.6 ? SPARSE_NATS : VERY_SPARSE_NATS;
    const isRight = Math.abs(got - meanNats) <= bound;
    return { what: `nats per token at ${sparsity}`, expected: meanNats, got, bound, isRight, seconds: result?.seconds };
  });
}
