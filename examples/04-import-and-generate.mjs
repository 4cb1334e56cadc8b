/**
 * Opens a model of any program and lets it write, as it is and with zeros in front of every projection: node examples/04-import-and-generate.mjs [MODEL]
 *
 * MODEL is a GGUF file, a checkpoint of llama2.c, a directory of Hugging Face, or a run of this project. Without it, what 06-export.mjs wrote of the model of
 * 01-train.mjs comes back in (runs/example-hf; both run first where nothing is there yet). A model of another program is dense; the sparsity of its
 * inputs is chosen when it runs, per sequence.
 *
 * Expected output for stories15M.bin of llama2.c (times differ):
 *
 *     stories15M.bin (llama2.c): 15.2 M parameters, 6 layers, silu gates, context 256
 *     dense                    Once upon a time, there was a little girl named Lily. ...
 *     40 % zeros               Once upon a time, there was a little girl named Lily. ...
 *     60 % zeros               ...
 */

import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import {
  countParameters,
  Engine,
  generateText,
  isForeign,
  loadBackend,
  openForeign,
  openModel,
  Sampler,
  tokenizerOfModel,
} from 'qsparse';

const path = process.argv[2] ?? 'runs/example-hf';
if (process.argv[2] === undefined && !existsSync(path)) await import('./06-export.mjs');

const backend = await loadBackend({ notice: console.error });
const model = openModel(path, backend);
const { config } = model;
const origin = isForeign(path) ? formatOf(path) : 'qsparse';
const size = `${(countParameters(config) / 1e6).toFixed(1)} M parameters, ${config.nLayers} layers`;
console.log(`${basename(path)} (${origin}): ${size}, ${config.activation} gates, context ${config.seqLen}`);

const tokenizer = tokenizerOfModel(model);
const engine = new Engine(config, model.weights, backend);
const prompt = 'Once upon a time';
for (const sparsity of [0, 0.4, 0.6]) {
  const options = { sampler: new Sampler({ temperature: 0 }), maxTokens: 32, sparsity };
  let text = prompt;
  for await (const piece of generateText(engine, tokenizer, prompt, options)) text += piece;
  const title = sparsity === 0 ? 'dense' : `${100 * sparsity} % zeros`;
  console.log(`${title.padEnd(24)} ${text.replaceAll('\n', ' ')}`);
}

engine.dispose();
model.dispose();
backend.dispose();

function formatOf(path) {
  const foreign = openForeign(path);
  foreign.close();
  return foreign.format;
}
