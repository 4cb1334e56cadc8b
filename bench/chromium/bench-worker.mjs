/**
 * Measures decoding inside a browser: the modules of dist/ as they are, the wasm backend with threads, and the same bench that `qsparse bench
 * decode` runs.
 */

import { loadBackend } from '../../dist/backends/load-backend.js';
import { benchInference } from '../../dist/bench/bench-inference.js';
import { randomBenchWeights } from '../../dist/bench/bench-weights.js';
import { answerQuestion } from './answer-question.mjs';

const NO_PROGRESS = { update() {}, done() {} };

/** The rows, and what they were measured on. */
async function measure({ shape, dtype, sparsities, tokens, repeat, threads, seed }) {
  const backend = await loadBackend({ backend: 'wasm', threads });
  const weights = randomBenchWeights(shape, dtype, null, backend, seed);
  const rounds = { label: 'measuring', repeat, progress: NO_PROGRESS, signal: new AbortController().signal };
  const options = { ...rounds, tokens, seed, kvType: 'f32', energy: null };
  const rows = await benchInference('decode', backend, weights, sparsities, [1], options);
  return { rows, backend: backend.description, threads: backend.threads, browser: navigator.userAgent };
}

await answerQuestion(measure);
