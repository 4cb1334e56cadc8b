/**
 * Serves several requests at once with a trained model: node examples/03-many-sequences.mjs [RUN]
 *
 * RUN (default: runs/example) is what 01-train.mjs or `qsparse train` wrote; where there is none yet, 01-train.mjs runs first. The
 * scheduler runs the tokens of all requests in common batches. Six texts share four places; then one of them goes on, and
 * only what is new of it runs; then the same prompt runs with other shares of zeros; and one request is given up.
 *
 * Expected output (the texts are hardly English after 300 steps of a tiny model):
 *
 *     Alice              was te with old tuling.
 *     ...
 *     went on: 18 of 21 tokens of the prompt were there already
 *     0 % zeros          said the otherpwing.
 *     ...
 *     given up: after 5 tokens
 */

import { existsSync } from 'node:fs';
import { decodeText, Engine, loadBackend, loadModel, Sampler, Scheduler, Tokenizer } from 'qsparse';

const directory = process.argv[2] ?? 'runs/example';
if (!existsSync(directory)) await import('./01-train.mjs');

const backend = await loadBackend({ notice: console.error });
const model = loadModel(directory, backend);
const tokenizer = Tokenizer.fromJson(model.tokenizer);
const engine = new Engine(model.config, model.weights, backend, { maxSequences: 4 });
const scheduler = new Scheduler(engine);

/** The text that follows, and what the request used. Each request needs a sampler of its own. */
async function complete(prompt, options = {}) {
  const sampler = new Sampler({ temperature: 0.7, topP: 0.95, frequencyPenalty: 0.2, seed: 1 });
  const tokens = scheduler.generate(tokenizer.encode(prompt), { sampler, maxTokens: 16, ...options });
  let text = '';
  for await (const piece of decodeText(tokens, tokenizer.decodeStream(), ['\n\n'])) text += piece;
  return { text, usage: tokens.usage };
}

const print = (title, text) => console.log(`${title.padEnd(16)}  ${text.replaceAll('\n', ' ')}`);

const prompts = ['Alice', 'The Queen', 'The White Rabbit', 'Down', 'She said', 'The Hatter'];
const texts = await Promise.all(prompts.map((prompt) => complete(prompt)));
texts.forEach(({ text }, i) => {
  print(prompts[i], text);
});

// Four sequences are kept: those of the last two are among them, whoever came to an end first.
const last = texts[4].text.length > texts[5].text.length ? 4 : 5;
const further = await complete(`${prompts[last]}${texts[last].text} and then`);
print('... and then', further.text);
const { cachedTokens, promptTokens } = further.usage;
console.log(`went on: ${cachedTokens} of ${promptTokens} tokens of the prompt were there already`);

// The same weights, with other shares of zeros in front of every projection.
for (const sparsity of [0, 0.3, 0.6, 0.9]) {
  const { text } = await complete('Alice', { sparsity });
  print(`${100 * sparsity} % zeros`, text);
}

const abort = new AbortController();
const tokens = scheduler.generate(tokenizer.encode('Alice'), { sampler: new Sampler(), signal: abort.signal });
for (let i = 0; i < 5; i++) await tokens.next();
abort.abort();
console.log(`given up: after ${tokens.usage.tokens} tokens`);

scheduler.dispose();
engine.dispose();
model.dispose();
backend.dispose();
