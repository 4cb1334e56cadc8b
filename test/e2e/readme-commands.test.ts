/**
 * The two commands of the README in a fresh copy: only the files that git knows, nothing installed, and nothing built but the kernels, which
 * take minutes to compile and were compiled by the very same build just before; the native ones are linked again.
 *
 * Shortened: seconds of training, one folder of tests. Packages come from npm's cache where it has them.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { cannotRunReadme, ROOT } from '../support/readme-commands.ts';

const TIMEOUT_MS = 480_000;

const reason = cannotRunReadme();

describe.skipIf(reason !== null)(`the README's commands${reason ? ` (${reason})` : ''}`, () => {
  const copy = reason === null ? freshCopy() : '';
  afterAll(() => {
    if (copy !== '') rmSync(copy, { recursive: true, force: true });
  });

  it('npm start trains, compares and says where the result is', { timeout: TIMEOUT_MS }, () => {
    const run = join(copy, 'quickstart');
    const output = npm(copy, ['start', '--', '--minutes', '0.01', '--out', run]);
    expect(output).toContain('wasm kernels');
    expect(output).toContain('Dense against sparse');
    expect(output).toMatch(/training +[\d,]+ tokens\/s +[\d,]+ tokens\/s/);
    expect(readFileSync(join(run, 'report.html'), 'utf8')).toContain('Dense against sparse');
    const text = npm(copy, [
      'exec',
      '--',
      'qsparse',
      'generate',
      join(run, 'sparse'),
      '--prompt',
      'The',
      '--max-tokens',
      '3',
    ]);
    expect(text).toMatch(/\S/);
  });

  it('npm test checks and tests', { timeout: TIMEOUT_MS }, () => {
    expect(npm(copy, ['test', '--', 'src/util'])).toMatch(/^\d+ passed, 0 failed, 0 skipped$/m);
  });
});

function freshCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), 'qsparse-copy-'));
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT });
  for (const file of list.toString().split('\0')) {
    if (file !== '' && existsSync(join(ROOT, file))) cpSync(join(ROOT, file), join(copy, file));
  }
  for (const kernels of ['build/native/objects', 'build/wasm'])
    if (existsSync(join(ROOT, kernels))) cpSync(join(ROOT, kernels), join(copy, kernels), { recursive: true });
  return copy;
}

/** Without the variables of the npm that runs these tests, and of CI: as a person would start it. */
function npm(cwd: string, args: string[]): string {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|CI$|VITEST|NODE_ENV$|QSPARSE_)/.test(name));
  const env = { ...Object.fromEntries(own), npm_config_prefer_offline: 'true' };
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, env, encoding: 'utf8' });
  expect(status, `${stdout}${stderr}`).toBe(0);
  return stdout;
}
