/**
 * Engines that write the same text in turns, timed as a reader sees it: until the first piece, and from there to the last. For a page and for
 * Node alike.
 *
 * A variant is `{ engine, sparsity, write }`: `write()` yields the pieces of one text, a token each, and returns `{ promptTokens, zeros }`. In
 * turns, because a shared machine may be a third faster in one minute than in the next; each second round goes the other way.
 */

/** The threads of the engine before wait awake for more work at first. */
const PAUSE_MS = 300;

/** Our model at several shares of zeros. */
export function ourVariants(model, sparsities, { prompt, tokens }) {
  return sparsities.map((sparsity) => {
    const all = { qkv: sparsity, o: sparsity, gateUp: sparsity, down: sparsity };
    async function* write() {
      const pieces = model.generate(prompt, { maxTokens: tokens, temperature: 0, sparsity: all });
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) return { promptTokens: value.promptTokens, zeros: value.sparsity };
        if (value.id !== null) yield value.text;
      }
    }
    return { engine: 'qsparse', sparsity, write };
  });
}

/**
 * One entry a variant: what it is, its text, and the milliseconds of each round. A round before them is not counted: engines are compiled while
 * they run. Throws where a variant does not write `tokens` pieces, or reads another number of tokens than the first one.
 */
export async function takeTurns(variants, { tokens, rounds, pauseMs = PAUSE_MS }) {
  const turns = variants.map(({ engine, sparsity }) => ({ engine, sparsity, promptMs: [], decodeMs: [] }));
  for (let round = -1; round < rounds; round++) {
    const order = [...variants.keys()];
    if (round % 2 !== 0) order.reverse();
    for (const v of order) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const { pieces, promptMs, decodeMs, ...more } = await clock(variants[v].write());
      if (pieces !== tokens) throw new Error(`${turns[v].engine} wrote ${pieces} tokens: expected ${tokens}.`);
      Object.assign(turns[v], more);
      if (round < 0) continue;
      turns[v].promptMs.push(promptMs);
      turns[v].decodeMs.push(decodeMs);
    }
  }
  const [{ promptTokens }] = turns;
  const other = turns.find((turn) => turn.promptTokens !== promptTokens);
  if (other) throw new Error(`${other.engine} read ${other.promptTokens} tokens: expected ${promptTokens}.`);
  return turns;
}

async function clock(write) {
  const begin = performance.now();
  let first = begin;
  let last = begin;
  let pieces = 0;
  let text = '';
  for (;;) {
    const { done, value } = await write.next();
    if (done) return { pieces, text, promptMs: first - begin, decodeMs: last - first, ...value };
    last = performance.now();
    if (pieces++ === 0) first = last;
    text += value;
  }
}
