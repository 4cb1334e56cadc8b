/**
 * The conformance suite: one set of cases for every backend, judged against the reference backend.
 *
 * For each kernel of the table: results within the bounds of compare.ts (indices equal), inputs unchanged, nothing
 * written outside of a tensor, and the same bits for one, two and three threads. Then the laws of laws.ts.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Kernels } from '../../src/backend.ts';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import { messageOf } from '../../src/util/errors.ts';
import { type Case, ORACLE_POISON, type Outcome, runCase, TESTED_POISON } from './case.ts';
import { casesByKernel } from './cases.ts';
import { differenceOfBits, faults } from './compare.ts';
import { describeLaws } from './laws.ts';

export interface ConformanceOptions {
  /** Numbers of threads that must give the same bits; the first is judged against the reference. */
  threads?: readonly number[];
}

export type BackendFactory = (threads: number) => Backend | Promise<Backend>;

/** How many faults of one kernel are printed. */
const SHOWN_FAULTS = 8;

/** Kernels that the table must have, from the reference backend: a kernel without cases fails. */
const KERNELS = Object.keys(createReferenceBackend().kernels) as (keyof Kernels)[];

export function runConformance(name: string, create: BackendFactory, options: ConformanceOptions = {}): void {
  const threads = options.threads ?? [1, 2, 3];
  const all = casesByKernel();

  describe(`conformance of ${name}`, () => {
    const reference = createReferenceBackend();
    const backends: Backend[] = [];
    beforeAll(async () => {
      for (const count of threads) backends.push(await create(count));
    });
    afterAll(() => {
      for (const backend of backends) backend.dispose();
    });

    for (const kernel of KERNELS) {
      const cases = all.get(kernel) ?? [];
      it(`${kernel}: ${cases.length} cases`, () => {
        expect(all.get(kernel), `cases of ${kernel}`).toBeDefined();
        const found = cases.flatMap((testCase, i) => faultsOf(testCase, i, reference, backends));
        const more = found.length > SHOWN_FAULTS ? [`... ${found.length - SHOWN_FAULTS} more`] : [];
        expect([...found.slice(0, SHOWN_FAULTS), ...more]).toEqual([]);
      });
    }

    describeLaws(() => backends[0]);
  });
}

/**
 * What is wrong with a case on a backend, given with one or several numbers of threads: one line each, empty where all is
 * well. `i` decides the alignment of the tensors.
 */
export function faultsOf(testCase: Case, i: number, reference: Backend, backends: readonly Backend[]): string[] {
  const shift = (i % 2) * 3;
  const contents = testCase.tensors();
  const expected = runCase(reference, testCase, contents, { poison: ORACLE_POISON, shift });
  const outcomes: Outcome[] = [];
  for (const backend of backends) {
    try {
      outcomes.push(runCase(backend, testCase, contents, { poison: TESTED_POISON, shift }));
    } catch (error) {
      return [`${testCase.name}, ${backend.threads} threads: ${messageOf(error)}`];
    }
  }
  const found = faults(testCase, contents, expected, outcomes[0]);
  for (let b = 1; b < outcomes.length; b++) {
    for (const name of Object.keys(expected)) {
      const fault = differenceOfBits(outcomes[0][name], outcomes[b][name]);
      if (fault) found.push(`${testCase.name}: ${backends[b].threads} threads against one: ${name}${fault}`);
    }
  }
  return found;
}
