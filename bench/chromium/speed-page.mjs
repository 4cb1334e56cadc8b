/**
 * A page with two engines, ours as anybody's page loads it and wllama as its package comes, that write the same text in turns. Bundled by
 * bench/lib/speed-page.mjs; takes the question from the server of bench/lib/chromium.mjs and gives the answer back to it.
 *
 * What is timed is what a reader of the page sees: when the first piece of text comes, and the last.
 */

import { load } from 'qsparse';
import { ourVariants, takeTurns } from '../lib/text-turns.mjs';

/** wllama as fast as it goes on a CPU: one text at a time, without what only samplers need, and no prompt found again. */
async function peerVariant({ module, wasm, model }, { prompt, tokens, threads }) {
  const { Wllama, LoggerWithoutDebug } = await import(/* @vite-ignore */ module);
  const quiet = { ...LoggerWithoutDebug, log() {}, warn() {} };
  const wllama = new Wllama({ default: wasm }, { logger: quiet, suppressNativeLog: true });
  const response = await fetch(model);
  if (!response.ok) throw new Error(`${model}: HTTP status ${response.status}`);
  await wllama.loadModel([await response.blob()], { n_threads: threads, n_gpu_layers: 0, n_ctx: 1024, n_parallel: 1 });
  if (wllama.getNumThreads() !== threads) throw new Error(`wllama runs ${wllama.getNumThreads()} threads.`);
  const sampling = { temperature: 0, top_k: 1, samplers: ['top_k'], ignore_eos: true, cache_prompt: false };
  async function* write() {
    const chunks = await wllama.createCompletion({ prompt, max_tokens: tokens, stream: true, ...sampling });
    for await (const { choices } of chunks) if (choices[0]?.text) yield choices[0].text;
  }
  return { engine: 'wllama', sparsity: 0, build: Wllama.getLibllamaVersion(), write };
}

async function measure(question) {
  const { threads, model, peer, sparsities } = question;
  const own = await load(model, { threads, contextTokens: 1024, cache: false });
  const variants = [await peerVariant(peer, question), ...ourVariants(own, sparsities, question)];
  const turns = await takeTurns(variants, question);
  return { turns, threads: own.info.threads, backend: own.info.backend, browser: navigator.userAgent };
}

async function answer() {
  try {
    return { value: await measure(await (await fetch('/question')).json()) };
  } catch (error) {
    return { error: error.stack ?? String(error) };
  }
}

await fetch('/answer', { method: 'POST', body: JSON.stringify(await answer()) });
