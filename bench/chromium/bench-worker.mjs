/**
 * Measures decoding inside a browser: the modules of dist/ as they are, the wasm backend with threads, and the same bench that `qsparse bench
 * decode` runs. Takes the question from the server of bench/lib/chromium.mjs and gives the answer back to it.
 */

import { loadBackend } from '../../dist/backends/load-backend.js';
import { benchInference } from '../../dist/bench/bench-inference.js';
import { randomBenchWeights } from '../../dist/bench/bench-weights.js';

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

async function answer() {
  try {
    return { value: await measure(await (await fetch('/question')).json()) };
  } catch (error) {
    return { error: error.stack ?? String(error) };
  }
}

await fetch('/answer', { method: 'POST', body: JSON.stringify(await answer()) });
