/**
 * How the tests run: in child processes (the native addon has threads and memory of its own), two at a time, the longest first. Those of single
 * files share processes, those of test/ have one each.
 */

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files of a quarter of a minute and more. One that began last would be waited for by one worker alone. */
const LONG = [
  ...['test/e2e/readme-commands', 'test/conformance/native', 'test/conformance/reference', 'test/conformance/wasm'],
  ...['test/browser/', 'test/e2e/', 'test/conformance/', 'test/property/', 'test/golden/'],
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONG.findIndex((part) => moduleId.includes(part));
      return place < 0 ? LONG.length : place;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    pool: 'forks',
    setupFiles: ['test/support/fixed-seed.ts'],
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // Tests are short; the room is for machines that build and measure at the same time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: [
            ...['src/**/*.test.ts', 'web/**/*.test.ts', 'scripts/**/*.test.mjs'],
            ...['bench/**/*.test.mjs', 'studies/**/*.test.mjs'],
          ],
          // Two hundred files of a second each: a process and its modules for every one would take as long again.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'whole', include: ['test/**/*.test.ts'] } },
    ],
  },
});
