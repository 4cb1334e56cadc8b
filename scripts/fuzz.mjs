/**
 * `npm run fuzz`: the properties of parsers and of the server on many more damaged files and requests than `npm test` takes, 10,000 for each unless a number is given
 * (`npm run fuzz -- 100000`), from another seed each time. A failure prints the seed and the path that repeat it.
 */

import { execute } from './lib/project.mjs';

const DEFAULT_RUNS = 10_000;
/** The files of test/property/ that damage files and requests. */
const TESTS = ['gguf', 'foreign-models', 'hugging-face', 'packed-models', 'server'].map(
  (name) => `test/property/${name}.test.ts`,
);

const runs = process.argv[2] ?? String(DEFAULT_RUNS);
if (!/^[1-9]\d*$/.test(runs)) {
  console.error(`[fuzz] expected the number of damaged inputs, got ${runs}.`);
  process.exit(2);
}
const { code } = await execute(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', '--testTimeout=0', ...TESTS],
  {
    live: true,
    env: { QSPARSE_FUZZ_SEED: String(Date.now() % 2 ** 31), ...process.env, QSPARSE_FUZZ_RUNS: runs },
  },
);
process.exitCode = code;
