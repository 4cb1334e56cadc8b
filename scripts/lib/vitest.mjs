/** Runs the test suite under this or another Node and counts its tests. */

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { execute, inRoot } from './project.mjs';

const VITEST = 'node_modules/vitest/vitest.mjs';

/** `{ passed, failed, skipped }`; a file that cannot be loaded counts as one failed test. The suite's output is shown as it comes. */
export async function runTests({ node = process.execPath, args = [], label = 'tests' } = {}) {
  const results = `build/${label}.json`;
  mkdirSync(inRoot('build'), { recursive: true });
  rmSync(inRoot(results), { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
  const { code } = await execute(node, [VITEST, 'run', ...reporters, ...args], { live: true });
  if (!existsSync(inRoot(results))) return { passed: 0, failed: 1, skipped: 0 };
  const counts = countTests(JSON.parse(readFileSync(inRoot(results), 'utf8')));
  // An error outside of any test (an unhandled rejection) ends with a code, but fails no test.
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

/** Counts of vitest's JSON report. */
export function countTests(report) {
  const unloadable = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloadable.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
