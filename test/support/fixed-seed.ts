/**
 * Properties begin with the same seed in every run of the tests, so that a failure is one that a change has brought. `npm run fuzz` takes another
 * one each time (QSPARSE_FUZZ_SEED).
 */

import fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.QSPARSE_FUZZ_SEED ?? 1) });
