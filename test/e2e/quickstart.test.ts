/** `qsparse quickstart` as a process, shortened: everything that it promises is there, and the other commands can use it. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cannotRunReadme } from '../support/readme-commands.ts';
import { mainMissing, runCommand } from '../support/tiny-checkpoint.ts';

const TIMEOUT_MS = 150_000;

/** Half a minute is enough for it once: `npm start` in a fresh copy runs it as well. */
const reason = mainMissing ?? (cannotRunReadme() === null ? 'skipped, readme-commands.test.ts runs it' : null);

describe.skipIf(reason !== null)(`quickstart${reason ? ` (${reason})` : ''}`, () => {
  it('trains both models, compares them and writes the report', { timeout: TIMEOUT_MS }, async () => {
    const directory = join(mkdtempSync(join(tmpdir(), 'qsparse-quickstart-')), 'run');
    try {
      const { code, stdout, stderr } = await runCommand([
        'quickstart',
        '--minutes',
        '0.01',
        '--out',
        directory,
        '--json',
      ]);
      expect(code, stderr).toBe(0);
      const result = JSON.parse(stdout);
      expect(result.steps).toBeGreaterThanOrEqual(20);
      expect(result.comparedSteps).toBe(result.steps / 5);
      expect(result.validation.dense.tokens).toBe(result.validation.sparse.tokens);
      expect(result.final.loss).toBeLessThan(Math.log(2048));
      expect(result.modelSparsity).toBeGreaterThan(0.5);
      expect(result.samples).toHaveLength(3);
      for (const { dense, sparse } of [result.training, result.decoding]) {
        expect(dense).toBeGreaterThan(0);
        expect(sparse).toBeGreaterThan(0);
      }
      expect(readFileSync(result.report, 'utf8')).toContain('Dense against sparse');
      expect(existsSync(join(directory, 'sparse', 'checkpoints'))).toBe(true);

      const text = await runCommand(['generate', join(directory, 'sparse'), '--prompt', 'The', '--max-tokens', '3']);
      expect(text.code, text.stderr).toBe(0);
      const again = await runCommand(['quickstart', '--minutes', '0.01', '--out', directory]);
      expect(again.code).toBe(2);
      expect(again.stderr).toMatch(/nothing was written/);
    } finally {
      rmSync(join(directory, '..'), { recursive: true });
    }
  });
});
