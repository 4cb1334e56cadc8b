/** Rows and table of browser speed from turns made by hand, and docs/web.md against the committed result. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { generate, readResult } from './browser-speed-doc.mjs';
import { speedBlock, speedRows } from './lib/browser-speed-rows.mjs';
import { ROOT } from './lib/processes.mjs';

const turn = (engine, sparsity, decodeMs, promptMs) => ({
  ...{ engine, sparsity, decodeMs, promptMs },
  ...{ zeros: 0.9 * sparsity, promptTokens: 50, text: 'and so on' },
});

/** Of 11 tokens, so that 10 are decoded. The second round is half as fast for all. */
const PAGE = {
  ...{ where: 'Chromium', threads: 2, backend: 'wasm' },
  turns: [
    turn('wllama', 0, [1000, 2000, 1000], [5000, 10000, 5000]),
    turn('qsparse', 0, [500, 1000, 400], [1000, 2500, 1000]),
    turn('qsparse', 0.6, [250, 500, 250], [500, 1000, 500]),
  ],
};
const NODE = {
  ...{ where: 'Node', threads: 2, backend: 'native' },
  turns: [turn('qsparse', 0, [100, 100, 100], [100, 100, 100]), turn('qsparse', 0.6, [50, 50, 50], [100, 100, 100])],
};
const ROWS = [PAGE, NODE].flatMap((part) => speedRows(part, 11));
const RESULT = {
  ...{ model: 'smol', promptTokens: 50, tokens: 11, rounds: 3, commit: 'abc', browser: 'Chromium 1', peer: 'wllama 2' },
  machine: { cpu: 'CPU', cores: 2, os: 'linux' },
  rows: ROWS,
};

describe('speedRows', () => {
  it('has rates of each round and their medians', () => {
    const [peer, dense, sparse] = ROWS;
    expect(peer.decode).toEqual({ tokensPerSecond: 10, spread: 0.5, rates: [10, 5, 10] });
    expect(peer.prompt.rates).toEqual([10, 5, 10]);
    expect(dense.decode.rates).toEqual([20, 10, 25]);
    expect(sparse).toMatchObject({ engine: 'qsparse', kernels: 'wasm', threads: 2, sparsity: 0.6, zeros: 0.54 });
  });

  it('compares inside of rounds: with the peer, with our own dense, and with nothing where there is nothing', () => {
    const [peer, dense, sparse, inNode] = ROWS;
    expect(peer.over).toBeNull();
    expect(dense.over).toEqual({ decode: 2, prompt: 5 });
    expect(sparse.over.decode).toBe(4);
    expect(dense.overDense.decode).toBe(1);
    // 40/20, 20/10, 40/25.
    expect(sparse.overDense.decode).toBe(2);
    expect(inNode.over).toBeNull();
  });
});

describe('docs/web.md', () => {
  const doc = readFileSync(path.join(ROOT, 'docs/web.md'), 'utf8');

  it('shows a row for each variant in the page, and what Node does beside ours', () => {
    const lines = speedBlock(RESULT).split('\n');
    expect(lines[0]).toBe(
      'CPU, 2 cores, linux; Chromium 1; wllama 2; commit abc. smol, a prompt of 50 tokens and 11 tokens written, medians of 3 rounds.',
    );
    expect(lines.slice(4)).toEqual([
      '| 2 | wllama, Q8_0 | 10.0 | 50 % | - | - | 10.0 | - | - |',
      '| 2 | qsparse int8, dense | 20.0 | 75 % | 2.00 | 1.00 | 50.0 | 5.00 | 100.0 |',
      '| 2 | qsparse int8, 54 % zeros | 40.0 | 50 % | 4.00 | 2.00 | 100.0 | 10.00 | 200.0 |',
    ]);
  });

  it('as committed is what the committed result gives', () => {
    const { text } = generate(doc, readResult(path.join(ROOT, 'bench/results')));
    expect(text, 'run node bench/browser-speed-doc.mjs').toBe(doc);
  });
});
