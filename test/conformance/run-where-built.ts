/** The conformance suite of a built backend, or one skipped test that says what is missing. */

import { describe, it } from 'vitest';
import { type BuiltName, createBuiltBackend, missingReason } from './built-backends.ts';
import { type ConformanceOptions, runConformance } from './conformance.ts';

export function runWhereBuilt(name: BuiltName, options?: ConformanceOptions): void {
  const reason = missingReason(name);
  if (reason === null) {
    runConformance(name, (threads) => createBuiltBackend(name, threads), options);
  } else {
    describe(`conformance of ${name}`, () => it.skip(reason));
  }
}
