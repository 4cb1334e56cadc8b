/** How the tests run: in child processes (the native addon has threads and memory of its own), two at a time. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      ...['src/**/*.test.ts', 'web/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.mjs'],
      ...['bench/**/*.test.mjs', 'studies/**/*.test.mjs'],
    ],
    pool: 'forks',
    maxWorkers: 2,
    // Tests are short; the room is for machines that build and measure at the same time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
