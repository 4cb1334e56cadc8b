/** A Hugging Face directory through the commands: generated from as it is, packed, and as a checkpoint, all with the same words. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { mainMissing, runCommand } from '../support/tiny-checkpoint.ts';

const golden = join(import.meta.dirname, '../golden/data/hugging-face');
const scratch = mkdtempSync(join(tmpdir(), 'qsparse-hf-e2e-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe.skipIf(mainMissing !== null)(`a Hugging Face directory${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it.each(['qwen3', 'qwen2'])('%s gives the same text as it is, packed and as a checkpoint', async (name) => {
    const [model, packed, checkpoint] = [join(golden, name), join(scratch, name), join(scratch, `${name}-checkpoint`)];
    const conversions = await Promise.all([
      runCommand(['convert', model, packed, '--dtype', 'f32']),
      runCommand(['convert', model, checkpoint, '--to', 'checkpoint']),
    ]);
    for (const { code, stderr } of conversions) expect(code, stderr).toBe(0);
    const generate = (path: string) =>
      runCommand(['generate', path, '--prompt', 'abc', '--temperature', '0', '--max-tokens', '8']);
    const texts = await Promise.all([model, packed, checkpoint].map(generate));
    for (const { code, stdout } of texts) expect({ code, stdout }).toEqual({ code: 0, stdout: texts[0].stdout });
    expect(texts[0].stdout.length).toBeGreaterThan(5);
  });
});
