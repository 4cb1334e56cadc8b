/**
 * GrammarVocabulary: the tokens of a model as a tree of their bytes, walked through a grammar to find those that may follow.
 *
 * Tokens with the same beginning share its nodes, and a beginning that cannot follow takes its whole subtree with it. Nodes lie in the order
 * of a depth-first walk, so that the walk is one loop over arrays: the next node, or the one behind the subtree. Made once for a model.
 */

import { type StackAutomaton, type Stacks, tooMuchWork } from './stack-automaton.ts';

/** For all tokens that may follow, as the automaton counts it: about half a second. Real schemas need a hundredth. */
const MOST_WORK = 10_000_000;

export class GrammarVocabulary {
  /** Number of ids. */
  readonly size: number;
  readonly tokenBytes: readonly (Uint8Array | null)[];
  readonly #bytes: Uint8Array;
  /** The root has depth 0. */
  readonly #depths: Uint32Array;
  /** The node behind the subtree of each node. */
  readonly #behind: Uint32Array;
  /** The tokens that end at node n are `#tokens[#firstToken[n]]` up to those of node n + 1. */
  readonly #firstToken: Uint32Array;
  readonly #tokens: Uint32Array;

  /** The bytes of each token by its id; null (or no bytes) for special tokens, which never stand in a text. */
  constructor(tokenBytes: readonly (Uint8Array | null)[]) {
    this.size = tokenBytes.length;
    this.tokenBytes = tokenBytes;
    const ids = tokenBytes.flatMap((bytes, id) => (bytes === null || bytes.length === 0 ? [] : [id]));
    ids.sort((a, b) => compareBytes(tokenBytes[a]!, tokenBytes[b]!));
    this.#tokens = Uint32Array.from(ids);
    const nodes = layOutTree(ids.map((id) => tokenBytes[id]!));
    this.#bytes = Uint8Array.from(nodes.bytes);
    this.#depths = Uint32Array.from(nodes.depths);
    this.#firstToken = Uint32Array.from(nodes.firstToken);
    this.#behind = endsOfSubtrees(this.#depths);
  }

  /**
   * The tokens whose bytes can all follow in this state: bit `id % 32` of word `floor(id / 32)`. Throws UsageError where it takes too
   * much work to tell.
   */
  tokensAfter(automaton: StackAutomaton, state: Stacks): Uint32Array {
    const words = new Uint32Array(Math.ceil(this.size / 32));
    const { classOf } = automaton;
    const path = [state];
    const mostWork = automaton.work + MOST_WORK;
    const nodes = this.#bytes.length;
    for (let node = 1; node < nodes; ) {
      const depth = this.#depths[node];
      const from = path[depth - 1];
      const byte = this.#bytes[node];
      let to = from.next[classOf[byte]];
      if (to === undefined) {
        to = automaton.advance(from, byte);
        if (automaton.work > mostWork) throw tooMuchWork();
      }
      if (to === null) {
        node = this.#behind[node];
        continue;
      }
      path[depth] = to;
      const last = this.#firstToken[node + 1];
      for (let i = this.#firstToken[node]; i < last; i++) words[this.#tokens[i] >>> 5] |= 1 << (this.#tokens[i] & 31);
      node++;
    }
    return words;
  }
}

interface Tree {
  bytes: number[];
  depths: number[];
  firstToken: number[];
}

/** Nodes of `texts`, which ascend; one more `firstToken` than nodes. */
function layOutTree(texts: readonly Uint8Array[]): Tree {
  const tree: Tree = { bytes: [0], depths: [0], firstToken: [0] };
  let previous: Uint8Array = new Uint8Array();
  for (const [at, text] of texts.entries()) {
    let depth = 0;
    while (depth < previous.length && depth < text.length && previous[depth] === text[depth]) depth++;
    for (; depth < text.length; depth++) {
      tree.bytes.push(text[depth]);
      tree.depths.push(depth + 1);
      tree.firstToken.push(at);
    }
    previous = text;
  }
  tree.firstToken.push(texts.length);
  return tree;
}

function endsOfSubtrees(depths: Uint32Array): Uint32Array {
  const behind = new Uint32Array(depths.length);
  const open: number[] = [];
  for (let node = 0; node <= depths.length; node++) {
    while (open.length > 0 && (node === depths.length || depths[open[open.length - 1]] >= depths[node])) {
      behind[open.pop()!] = node;
    }
    open.push(node);
  }
  return behind;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
