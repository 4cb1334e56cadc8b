/**
 * Engines that write the same text in turns, timed as a reader sees it: until the first piece, and from there to the last. For a page and for
 * Node alike.
 *
 * A variant is `{ engine, sparsity, write }`, where `write()` yields the pieces of one text, a token each. In turns, because a shared machine
 * may be a third faster in one minute than in the next; each second round goes the other way.
 */

/** The threads of the engine before, which wait for more work without sleeping at first. */
const PAUSE_MS = 300;

/** Our model at several shares of zeros; the same tokens are written at each. */
export function ourVariants(model, sparsities, { prompt, tokens }) {
  return sparsities.map((sparsity) => {
    const all = { qkv: sparsity, o: sparsity, gateUp: sparsity, down: sparsity };
    const zeros = [];
    async function* write() {
      const pieces = model.generate(prompt, { maxTokens: tokens, temperature: 0, sparsity: all });
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) {
          zeros[0] = value.sparsity;
          return;
        }
        if (value.id !== null) yield value.text;
      }
    }
    return { engine: 'qsparse', sparsity, write, zeros };
  });
}

/**
 * One entry a variant: what it is, its text, and the milliseconds of each round. A round before them is not counted: engines are compiled while
 * they run. Throws where a variant does not write `tokens` pieces.
 */
export async function takeTurns(variants, { tokens, rounds }) {
  const turns = variants.map(({ engine, sparsity, build }) => ({
    engine,
    sparsity,
    build,
    promptMs: [],
    decodeMs: [],
  }));
  for (let round = -1; round < rounds; round++) {
    const order = [...variants.keys()];
    if (round % 2 !== 0) order.reverse();
    for (const v of order) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const { pieces, text, promptMs, decodeMs } = await clock(variants[v].write());
      if (pieces !== tokens) throw new Error(`${variants[v].engine} wrote ${pieces} tokens: expected ${tokens}.`);
      Object.assign(turns[v], { text, zeros: variants[v].zeros?.[0] ?? 0 });
      if (round < 0) continue;
      turns[v].promptMs.push(promptMs);
      turns[v].decodeMs.push(decodeMs);
    }
  }
  return turns;
}

async function clock(write) {
  const begin = performance.now();
  let first = begin;
  let last = begin;
  let pieces = 0;
  let text = '';
  for await (const piece of write) {
    last = performance.now();
    if (pieces++ === 0) first = last;
    text += piece;
  }
  return { pieces, text, promptMs: first - begin, decodeMs: last - first };
}
