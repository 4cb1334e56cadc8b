/**
 * The two commands of the README in a fresh copy: only the files that git knows, nothing installed, nothing built.
 *
 * Shortened: seconds of training, one folder of tests. Packages come from npm's cache where it has them.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TIMEOUT_MS = 240_000;

/** Once is enough, and npm starts scripts with its own Node. */
function reasonToSkip(): string | null {
  if (!existsSync(join(ROOT, '.git'))) return 'skipped, not a clone: which files are its own is not known';
  if (process.env.npm_node_execpath !== process.execPath) return 'skipped, not started by the npm of this Node';
  return null;
}

const reason = reasonToSkip();

describe.skipIf(reason !== null)(`the README's commands${reason ? ` (${reason})` : ''}`, () => {
  const copy = reason === null ? freshCopy() : '';
  afterAll(() => {
    if (copy !== '') rmSync(copy, { recursive: true, force: true });
  });

  it('npm start trains, compares and says where the result is', { timeout: TIMEOUT_MS }, () => {
    const output = npm(copy, ['start', '--', '--minutes', '0.01', '--out', join(copy, 'quickstart')]);
    expect(output).toContain('wasm kernels');
    expect(output).toMatch(/tokens\/s/);
    expect(existsSync(join(copy, 'quickstart', 'sparse', 'checkpoints'))).toBe(true);
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
