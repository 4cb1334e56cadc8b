/**
 * Continues a prompt with a trained model: node examples/02-generate.mjs [RUN]
 *
 * RUN (default: runs/example) is what 01-train.mjs or `qsparse train` wrote; where there is none yet, 01-train.mjs runs first.
 * One token goes through the model at a time, and only the rows of the weights at its non-zero inputs are read: the
 * share that was left unread is printed at the end, counted, not derived from the configuration.
 *
 * Expected output: some fifty tokens, hardly English after 300 steps of a tiny model, and the share of zeros by point:
 *
 *     Alice could not nots conly.
 *     ...
 *     49 tokens went through the model; zeros: qkv 59 %, o 59 %, gateUp 59 %, down 61 %; of the weights of the blocks 60 % unread
 */

import { existsSync } from 'node:fs';
import { Engine, generateText, loadBackend, loadModel, POINTS, Sampler, Tokenizer } from 'qsparse';

const directory = process.argv[2] ?? 'runs/example';
if (!existsSync(directory)) await import('./01-train.mjs');

const backend = await loadBackend({ notice: console.error });
const model = loadModel(directory, backend);
const tokenizer = Tokenizer.fromJson(model.tokenizer);
const engine = new Engine(model.config, model.weights, backend);

// The same seed gives the same text, with any number of threads.
const options = { sampler: new Sampler({ temperature: 0.7, topP: 0.95, seed: 1 }), maxTokens: 48 };
const prompt = 'Alice';
process.stdout.write(`\n${prompt}`);
for await (const piece of generateText(engine, tokenizer, prompt, options)) process.stdout.write(piece);

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const sparsity = engine.statistics.sparsity();
const points = POINTS.map((point) => `${point} ${percent(mean(sparsity[point]))}`).join(', ');
const unread = percent(engine.statistics.modelSparsity());
const { tokens } = engine.statistics;
console.log(
  `\n\n${tokens} tokens went through the model; zeros: ${points}; of the weights of the blocks ${unread} unread`,
);

engine.dispose();
model.dispose();
backend.dispose();
