/**
 * npm test: builds, then checks types, style and imports, then runs the tests; with --node24, or $CI set, under Node 24 too.
 *
 * Further arguments go to vitest (`npm test -- src/ops`). Every check runs even where an earlier one failed, and counts as a
 * test. The last line is what a machine reads: `N passed, N failed, N skipped`.
 */

import { buildAll } from './lib/build-all.mjs';
import { executeOrFail, step } from './lib/project.mjs';

const args = process.argv.slice(2).filter((argument) => argument !== '--node24');
const wantsNode24 = process.argv.includes('--node24') || Boolean(process.env.CI);
const total = { passed: 0, failed: 0, skipped: 0 };

function add(counts) {
  for (const key of Object.keys(total)) total[key] += counts[key];
}

/** A step that counts as one test. Resolves to whether it passed. */
async function check(label, work) {
  const passed = await step(label, work).then(
    () => true,
    () => false,
  );
  total[passed ? 'passed' : 'failed'] += 1;
  return passed;
}

async function run() {
  const built = await buildAll().then(
    () => true,
    () => false,
  );
  if (!built) total.failed += 1;
  const node = process.execPath;
  const { checkTypes } = await import('./lib/typescript.mjs');
  await check('types', checkTypes);
  await check('style', async () => {
    await executeOrFail(node, ['node_modules/@biomejs/biome/bin/biome', 'check', '--colors=off']);
    return 'biome: no findings';
  });
  await check('imports', async () => (await executeOrFail(node, ['scripts/check-imports.mjs'])).trim());
  const { runTests } = await import('./lib/vitest.mjs');
  add(await runTests({ args }));
  if (wantsNode24) await runUnderNode24();
}

async function runUnderNode24() {
  const { testNode24 } = await import('./test-node24.mjs');
  const result = await testNode24(args);
  if (result.reason === undefined) {
    add(result);
    return;
  }
  console.log(`Node 24        skipped: ${result.reason}`);
  total.skipped += 1;
}

await run().catch((error) => {
  console.error(error);
  total.failed += 1;
});
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
