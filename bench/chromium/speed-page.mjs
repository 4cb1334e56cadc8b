/**
 * A page with two engines, ours as anybody's page loads it and wllama as its package comes, that write the same text in turns. Bundled by
 * bench/lib/speed-page.mjs.
 */

import { load } from 'qsparse';
import { ourVariants, takeTurns } from '../lib/text-turns.mjs';
import { answerQuestion } from './answer-question.mjs';

/** Greedy, with nothing that only samplers need, and no prompt found again. */
const SAMPLING = { temperature: 0, top_k: 1, samplers: ['top_k'], ignore_eos: true, cache_prompt: false };
const CONTEXT_TOKENS = 1024;

/** wllama on the CPU, for one text at a time; and the build of llama.cpp that is in it. */
async function peerVariant({ module, wasm, model }, { prompt, tokens, threads }) {
  const { Wllama } = await import(/* @vite-ignore */ module);
  const wllama = new Wllama({ default: wasm }, { suppressNativeLog: true });
  const response = await fetch(model);
  if (!response.ok) throw new Error(`${model}: HTTP status ${response.status}`);
  const size = { n_ctx: CONTEXT_TOKENS, n_parallel: 1 };
  await wllama.loadModel([await response.blob()], { n_threads: threads, n_gpu_layers: 0, ...size });
  if (wllama.getNumThreads() !== threads) throw new Error(`wllama runs ${wllama.getNumThreads()} threads.`);
  async function* write() {
    let promptTokens = null;
    const chunks = await wllama.createCompletion({ prompt, max_tokens: tokens, stream: true, ...SAMPLING });
    for await (const { choices, timings } of chunks) {
      promptTokens = timings?.prompt_n ?? promptTokens;
      if (choices[0]?.text) yield choices[0].text;
    }
    return { promptTokens, zeros: 0 };
  }
  return { variant: { engine: 'wllama', sparsity: 0, write }, build: Wllama.getLibllamaVersion() };
}

async function measure(question) {
  const { threads, model, peer, sparsities } = question;
  const own = await load(model, { threads, contextTokens: CONTEXT_TOKENS, cache: false });
  const { variant, build } = await peerVariant(peer, question);
  const turns = await takeTurns([variant, ...ourVariants(own, sparsities, question)], question);
  return { turns, threads, backend: own.info.backend, build, browser: navigator.userAgent };
}

await answerQuestion(measure);
