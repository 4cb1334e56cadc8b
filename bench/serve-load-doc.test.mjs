/** The generator of the table in docs/server.md, on a result made by hand, and the committed page against the committed result. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './lib/processes.mjs';
import { generate, readResults } from './serve-load-doc.mjs';

const PAGE = 'before\n<!-- generated: load -->\nold\n<!-- /generated -->\nafter';
const RESULT = {
  ...{ model: 'a-model', peer: 'its.gguf', clients: 64, rounds: 4, maxTokens: 64, context: 512, commit: 'abc' },
  machine: { cpu: 'A processor', cores: 2, os: 'linux', node: 'v20', backend: 'native avx2, 2 threads' },
  rows: [
    {
      ...{
        server: 'qsparse',
        sparsity: 0.5,
        requests: 1280,
        lost: 0,
        mixedUp: 0,
        piecesPerSecond: 321.4,
        spread: 0.06,
      },
      ...{ firstMs: { p50: 100.4, p99: 900 }, betweenMs: { p50: 150, p99: 400 } },
      memory: { mediansBytes: [300 * 2 ** 20, 310 * 2 ** 20], mostBytes: 320 * 2 ** 20 },
    },
  ],
};

describe('the page of the server', () => {
  it('has a row for each load, and keeps what people wrote', () => {
    const { text } = generate(PAGE, RESULT);
    expect(text).toMatch(/^before\n/);
    expect(text).toMatch(/\nafter$/);
    expect(text).toContain(
      '| qsparse | 50 % | 1,280 | 0 | 0 | 321 | 6 % | 100 / 900 ms | 150 / 400 ms | 300 MiB | 310 MiB | 320 MiB |',
    );
  });

  it('says so where nothing was measured', () => {
    expect(generate(PAGE, null).text).toContain('Not measured yet.');
  });

  it('is what the committed result makes of it', () => {
    const page = readFileSync(path.join(ROOT, 'docs/server.md'), 'utf8');
    expect(generate(page, readResults(path.join(ROOT, 'bench/results'))).text).toBe(page);
  });
});
