/**
 * Exports small random models of every kind, and given ones, and compares the logits of transformers and llama.cpp with those of the engine, and their
 * token ids with those of the tokenizer.
 *
 *   node bench/peers/check-export.mjs [MODEL...] --python VENV/bin/python --llama LLAMA_CPP [--keep DIRECTORY] [--out FILE]
 *
 * Each random model goes out as a run of ours (f32 and rounded), and what was written once more, as a model of another program that is read: the
 * Hugging Face directory as GGUF and the GGUF file as Hugging Face directory. MODELs are of other programs and go out both ways. VENV has torch, transformers and
 * safetensors; LLAMA_CPP is a built source tree of llama.cpp (static libraries in build/). Either may be left out. Prints a line for each export, writes
 * all to FILE, and ends with 1 where one differs by more than its type explains. Needs `npm run build`.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { currentCommit } from '../../dist/cli/bench/current-commit.js';
import { describeMachine } from '../../dist/cli/shared/machine.js';
import {
  createReferenceBackend,
  Engine,
  exportSourceOf,
  loadBackend,
  openExportSource,
  openForeign,
  openModel,
  resolveConfig,
  SingleSequence,
  saveCheckpoint,
  Tokenizer,
  Transformer,
  tokenizerOfModel,
  trainBpe,
  writeGguf,
  writeHuggingFace,
} from '../../dist/index.js';
import { runJson, writeJson } from '../lib/processes.mjs';

const { values: options, positionals: given } = parseArgs({
  allowPositionals: true,
  options: { python: { type: 'string' }, llama: { type: 'string' }, keep: { type: 'string' }, out: { type: 'string' } },
});
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const place = options.keep ?? mkdtempSync(join(tmpdir(), 'qsparse-check-export-'));
mkdirSync(place, { recursive: true });

const TEXT = `The quick brown fox doesn't jump over 1234 lazy dogs,\n\n  it sleeps.\tnaïve 漢字 🙂 <|endoftext|>The end.  `;
const SHAPE = { dim: 64, hiddenDim: 96, nLayers: 2, nHeads: 4, nKvHeads: 2, vocabSize: 330, seqLen: 64, normEps: 1e-6 };
const LINEAR = { ropeScaling: { type: 'linear', factor: 4 } };
const LLAMA3 = {
  ropeScaling: { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalSeqLen: 32 },
};
const MODELS = {
  'silu, untied, wide heads': { activation: 'silu', sparsity: 0, headDim: 32, tiedEmbeddings: false, ropeTheta: 5e4 },
  'silu, tied, top-K': { activation: 'silu', sparsity: 0.5 },
  'relu, top-K': { activation: 'relu', sparsity: 0.5 },
  'relu2, 8-bit activations': { activation: 'relu2', sparsity: 0.4, activationFormat: 'int8' },
  'relu2, ternary, sub-norms': { activation: 'relu2', weightFormat: 'ternary', subNorms: true },
  'silu, sub-norms': { activation: 'silu', subNorms: true, nKvHeads: 4 },
  'silu, mixture': { activation: 'silu', nExperts: 4, nExpertsPerToken: 2, sparsity: 0.5 },
  'relu2, mixture': { activation: 'relu2', nExperts: 4, nExpertsPerToken: 2, tiedEmbeddings: false },
  'silu, window': { activation: 'silu', slidingWindow: 5 },
  'silu, linear RoPE': { activation: 'silu', ...LINEAR },
  'silu, llama3 RoPE': { activation: 'silu', ...LLAMA3, tiedEmbeddings: false },
  'silu, biases': { activation: 'silu', qkvBias: true, sparsity: 0.5 },
  'silu, biases, window': { activation: 'silu', qkvBias: true, slidingWindow: 5 },
  'silu, biases, llama3 RoPE': { activation: 'silu', qkvBias: true, ...LLAMA3 },
  'silu, biases, wide heads': { activation: 'silu', qkvBias: true, headDim: 32, ...LINEAR },
  'relu, biases': { activation: 'relu', qkvBias: true },
  'silu, norms of heads': { activation: 'silu', qkNorm: true, headDim: 32, sparsity: 0.5 },
  'silu, norms of heads, window': { activation: 'silu', qkNorm: true, slidingWindow: 5 },
  'silu, norms of heads, linear RoPE': { activation: 'silu', qkNorm: true, ...LINEAR, tiedEmbeddings: false },
  'silu, norms of heads, mixture': { activation: 'silu', qkNorm: true, nExperts: 4, nExpertsPerToken: 2 },
  'silu, norms of heads, mixture, window': {
    ...{ activation: 'silu', qkNorm: true, nExperts: 4, nExpertsPerToken: 2, slidingWindow: 5 },
  },
  'silu, biases, norms of heads': { activation: 'silu', qkvBias: true, qkNorm: true },
};
/**
 * Root mean square of the differences over that of the logits. f32 sums in another order; f16 rounds weights and inputs to 11 bits, bf16 weights to
 * 8, q8_0 both to 7 and a sign. Random weights of this size amplify a rounding about tenfold; that the bytes are right is for tests to say.
 */
const TOLERANCES = { f32: 2e-6, f16: 3e-3, bf16: 3e-2, q8_0: 6e-2 };
const POSITIONS = 24;

const tokenizerJson = trainBpe([TEXT.repeat(3), 'the quick brown fox jumps over the lazy dog '.repeat(9)], {
  vocabSize: 320,
});
const textPath = join(place, 'text.txt');
writeFileSync(textPath, TEXT);

/** Progress bars and notes are not wanted; where a program fails they are part of its error. */
const QUIET = { stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 2 ** 30 };

/** What is written, by whom it is read, and in which types our own models are written. */
const TARGETS = {
  hf: { program: 'transformers', types: ['f32', 'bf16'], isHere: options.python !== undefined },
  gguf: { program: 'llama.cpp', types: ['f32', 'f16', 'q8_0'], isHere: options.llama !== undefined },
};

/** What was refused, and what was written and is to be read: `{ row, out, expected }`. */
const refused = [];
const written = [];

const reference = createReferenceBackend();
for (const [name, overrides] of Object.entries(MODELS)) {
  const run = join(place, `run-${written.length + refused.length}`);
  const expected = makeModel(run, resolveConfig({ ...SHAPE, ...overrides }));
  const outs = {};
  for (const [to, { types }] of Object.entries(TARGETS)) {
    for (const type of types) {
      const out = await write({ model: name, from: 'qsparse', to, type }, expected, () => openExportSource(run));
      if (type === 'f32') outs[to] = out;
    }
  }
  for (const [from, to] of [
    ['hf', 'gguf'],
    ['gguf', 'hf'],
  ]) {
    if (outs[from] === undefined || !isRead(outs[from])) continue;
    await write({ model: name, from, to, type: 'f32' }, expected, () => exportSourceOf(openForeign(outs[from])));
  }
}

const backend = given.length > 0 ? await loadBackend({ notice: console.error }) : reference;
for (const model of given) {
  const expected = denseLogits(openModel(model, backend), backend);
  for (const to of Object.keys(TARGETS)) {
    const row = { model: basename(model), from: formatOf(model), to, type: 'f32' };
    await write(row, expected, () => exportSourceOf(openForeign(model)));
  }
}

const rows = [...refused, ...readAll('hf', readByTransformers), ...readAll('gguf', readByLlama)];
for (const row of rows) print(row);

if (options.out) {
  const head = { bench: 'check-export', machine: describeMachine(), commit: currentCommit(), programs: programs() };
  writeJson(options.out, { ...head, text: TEXT, positions: POSITIONS, tolerances: TOLERANCES, rows });
}
if (options.keep === undefined) rmSync(place, { recursive: true });
process.exitCode = rows.every(({ outcome }) => outcome === 'same' || outcome === 'refused') ? 0 : 1;

/** A run of one checkpoint with random weights; what its dense function gives. */
function makeModel(run, config) {
  // Windows are for inference alone; parameters do not know of them.
  const model = Transformer.create({ ...config, slidingWindow: 0 }, reference, { seed: 3 });
  for (const { name, value, biasOf } of model.parameters) {
    const random = mulberry32(name.length + value.data.length);
    for (let i = 0; i < value.data.length; i++) {
      if (biasOf) value.data[i] = random() - 0.5;
      else value.data[i] = /norm$/i.test(name) ? 0.75 + random() / 2 : 8 * value.data[i];
    }
  }
  const tensors = model.parameters.map(({ name, value }) => ({
    name,
    dtype: 'F32',
    shape: value.shape,
    data: value.data,
  }));
  const files = { config, tokenizer: tokenizerJson, state: {}, optimizer: [], model: tensors };
  saveCheckpoint(run, { step: 1, keepLast: 1, best: true, files });
  return denseLogits(openModel(run, reference), reference);
}

/** What other programs must give: the ids of the text as a prompt, and the logits behind each of the first. Disposes the model. */
function denseLogits(model, backend) {
  const tokenizer = model.tokenizerConfig === null ? Tokenizer.fromJson(model.tokenizer) : tokenizerOfModel(model);
  const prompt = tokenizer.encodePrompt(TEXT);
  const ids = prompt.slice(0, POSITIONS);
  const dense = {
    ...model.config,
    sparsifier: 'none',
    sparsity: { qkv: 0, o: 0, gateUp: 0, down: 0 },
    activationFormat: 'float',
  };
  const engine = new Engine(dense, model.weights, backend, { maxTokens: POSITIONS });
  const sequence = new SingleSequence(engine);
  const logits = ids.map((id) => Float32Array.from(sequence.prefill([id])));
  engine.dispose();
  model.dispose();
  return { prompt, ids, logits };
}

/** Not all that goes out comes in again: `smallthinker` does not. */
function isRead(path) {
  try {
    openForeign(path).close();
    return true;
  } catch {
    return false;
  }
}

function formatOf(path) {
  const { format, close } = openForeign(path);
  close();
  return format;
}

/** The path of what was written; undefined where nobody would read it, or where it was refused. */
async function write(row, expected, open) {
  const { to, from, type } = row;
  if (!TARGETS[to].isHere) return undefined;
  const out = join(place, `${written.length}-${type}${to === 'gguf' ? '.gguf' : ''}`);
  const source = open();
  try {
    const writeModel = to === 'hf' ? writeHuggingFace : writeGguf;
    const limit = to === 'hf' && from === 'qsparse' && type === 'f32' ? { maxShardBytes: 60_000 } : {};
    const { architecture } = await writeModel(source, out, { type, ...limit });
    written.push({ row: { ...row, program: TARGETS[to].program, architecture }, out, expected });
    return out;
  } catch (error) {
    if (!/cannot be written as/.test(error.message)) throw error;
    refused.push({ ...row, program: TARGETS[to].program, outcome: 'refused', reason: error.message });
    return undefined;
  } finally {
    source.close();
  }
}

/** Rows of all that was written for one program; `read` gives for each `{ ids, logits }` or `{ error }`. */
function readAll(to, read) {
  const own = written.filter(({ row }) => row.to === to);
  const results = own.length === 0 ? [] : read(own);
  return own.map(({ row, expected }, i) => {
    const { error, ids, logits } = results[i];
    if (error !== undefined) return { ...row, outcome: 'failed', reason: error.split(place).join('...') };
    return { ...row, ...compare(ids, logits, expected, row.type) };
  });
}

function readByTransformers(exported) {
  const input = exported.map(({ out, expected }) => `${JSON.stringify([out, expected.ids])}\n`).join('');
  const output = execFileSync(options.python, [here('transformers_logits.py'), textPath], { ...QUIET, input });
  return output
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function readByLlama(exported) {
  const numbers = (line) => line.trim().split(' ').map(Number);
  return exported.map(({ out, expected }) => {
    try {
      const args = [out, textPath, ...expected.ids.map(String)];
      const [ids, ...logits] = execFileSync(llamaProgram(), args, QUIET).toString().trim().split('\n');
      return { ids: numbers(ids), logits: logits.map(numbers) };
    } catch (error) {
      return { error: [error.message, error.stderr].join('\n') };
    }
  });
}

function compare(ids, gotLogits, { prompt, logits }, type) {
  const idsEqual = ids.join() === prompt.join();
  let [squares, errorSquares, largestDifference] = [0, 0, 0];
  for (const [at, row] of logits.entries()) {
    for (const [i, logit] of row.entries()) {
      const difference = Math.abs(logit - gotLogits[at][i]);
      squares += logit ** 2;
      errorSquares += difference ** 2;
      largestDifference = Math.max(largestDifference, difference);
    }
  }
  const relativeError = Math.sqrt(errorSquares / squares);
  const outcome = idsEqual && relativeError <= TOLERANCES[type] ? 'same' : 'differs';
  const rounded = (x) => Number(x.toPrecision(3));
  return { outcome, relativeError: rounded(relativeError), largestDifference: rounded(largestDifference), idsEqual };
}

function print({ model, from, to, type, outcome, relativeError, idsEqual, reason }) {
  const what = reason ?? `error ${relativeError.toExponential(1)}, ids ${idsEqual ? 'equal' : 'DIFFER'}`;
  console.log(`${outcome.padEnd(7)}  ${model}: ${from} to ${to} ${type}: ${what}`);
}

/** Compiled once. */
function llamaProgram() {
  const program = join(place, 'llama_logits');
  llamaProgram.made ??= compile(program);
  return program;
}

function compile(program) {
  const tree = (...parts) => join(options.llama, ...parts);
  const libraries = ['src/libllama.a', 'ggml/src/libggml.a', 'ggml/src/libggml-cpu.a', 'ggml/src/libggml-base.a'];
  const includes = ['-I', tree('include'), '-I', tree('ggml/include')];
  const link = [...libraries.map((one) => tree('build', one)), '-fopenmp', '-lpthread', '-ldl'];
  execFileSync('g++', ['-std=c++17', '-O1', ...includes, here('llama_logits.cpp'), ...link, '-o', program]);
  return true;
}

/** Versions of what was asked. */
function programs() {
  const versions = 'import json, torch, transformers; print(json.dumps([transformers.__version__, torch.__version__]))';
  const [transformers, torch] = options.python ? runJson(options.python, ['-c', versions]) : [null, null];
  return { transformers, torch, llamaCpp: options.llama ? llamaVersion() : null };
}

/** A tree that Python's bindings carry with them has no version of its own. */
function llamaVersion() {
  const header = join(options.llama, '..', '..', 'llama_cpp', '__init__.py');
  const bindings = existsSync(header) ? execFileSync('grep', ['__version__', header]).toString().trim() : null;
  return bindings === null ? 'unknown' : `as vendored in llama-cpp-python ${bindings.split('"')[1]}`;
}

function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
