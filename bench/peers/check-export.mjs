/**
 * Exports small random models of every kind and compares the logits of transformers and llama.cpp with those of the engine, and their token ids
 * with those of the tokenizer.
 *
 *   node bench/peers/check-export.mjs --python VENV/bin/python --llama LLAMA_CPP [--keep DIRECTORY]
 *
 * VENV has torch, transformers and safetensors; LLAMA_CPP is a built source tree of llama.cpp (static libraries in build/). Either may be left out.
 * Prints a line for each export and ends with 1 where one differs by more than its type explains. Needs `npm run build`.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  createReferenceBackend,
  Engine,
  loadModel,
  openExportSource,
  resolveConfig,
  SingleSequence,
  saveCheckpoint,
  Tokenizer,
  Transformer,
  trainBpe,
  writeGguf,
  writeHuggingFace,
} from '../../dist/index.js';

const { values: options } = parseArgs({
  options: { python: { type: 'string' }, llama: { type: 'string' }, keep: { type: 'string' } },
});
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const place = options.keep ?? mkdtempSync(join(tmpdir(), 'qsparse-check-export-'));
mkdirSync(place, { recursive: true });

const TEXT = `The quick brown fox doesn't jump over 1234 lazy dogs,\n\n  it sleeps.\tnaïve 漢字 🙂 <|endoftext|>The end.  `;
const SHAPE = { dim: 64, hiddenDim: 96, nLayers: 2, nHeads: 4, nKvHeads: 2, vocabSize: 330, seqLen: 64, normEps: 1e-6 };
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
};
/**
 * Root mean square of the differences over that of the logits. f32 sums in another order; f16 rounds weights and inputs to 11 bits, bf16 weights to
 * 8, q8_0 both to 7 and a sign. Random weights of this size amplify a rounding about tenfold; that the bytes are right is for tests to say.
 */
const TOLERANCES = { f32: 2e-6, f16: 3e-3, bf16: 3e-2, q8_0: 6e-2 };

const backend = createReferenceBackend();
const tokenizerJson = trainBpe([TEXT.repeat(3), 'the quick brown fox jumps over the lazy dog '.repeat(9)], {
  vocabSize: 320,
});
const tokenizer = Tokenizer.fromJson(tokenizerJson);
const textPath = join(place, 'text.txt');
writeFileSync(textPath, TEXT);
const ids = tokenizer.encode(TEXT).slice(0, 24);

/** Progress bars and notes are not wanted; where a program fails they are part of its error. */
const QUIET = { stdio: ['ignore', 'pipe', 'pipe'] };

let failed = 0;
for (const [name, overrides] of Object.entries(MODELS)) {
  const run = join(place, name.replaceAll(/[, ]+/g, '-'));
  const expected = makeModel(run, resolveConfig({ ...SHAPE, ...overrides }));
  if (options.python) {
    for (const type of ['f32', 'bf16']) {
      await check(`${name}: hf ${type}`, expected, type, async () => {
        const out = `${run}-hf-${type}`;
        const source = openExportSource(run);
        await writeHuggingFace(source, out, { type, maxShardBytes: type === 'f32' ? 60_000 : undefined });
        source.close();
        return execFileSync(options.python, [here('transformers_logits.py'), out, textPath, ...ids.map(String)], QUIET);
      });
    }
  }
  if (options.llama) {
    for (const type of ['f32', 'f16', 'q8_0']) {
      await check(`${name}: gguf ${type}`, expected, type, async () => {
        const out = `${run}-${type}.gguf`;
        const source = openExportSource(run);
        await writeGguf(source, out, { type });
        source.close();
        return execFileSync(llamaProgram(), [out, textPath, ...ids.map(String)], QUIET);
      });
    }
  }
}
if (options.keep === undefined) rmSync(place, { recursive: true });
process.exitCode = failed > 0 ? 1 : 0;

/** A run of one checkpoint with random weights; the logits of its dense function. */
function makeModel(run, config) {
  // Windows are for inference alone; parameters do not know of them.
  const model = Transformer.create({ ...config, slidingWindow: 0 }, backend, { seed: 3 });
  for (const { name, value } of model.parameters) {
    const random = mulberry32(name.length + value.data.length);
    for (let i = 0; i < value.data.length; i++) {
      value.data[i] = /norm$/i.test(name) ? 0.75 + random() / 2 : 8 * value.data[i];
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
  const loaded = loadModel(run, backend);
  const dense = {
    ...config,
    sparsifier: 'none',
    sparsity: { qkv: 0, o: 0, gateUp: 0, down: 0 },
    activationFormat: 'float',
  };
  const engine = new Engine(dense, loaded.weights, backend);
  const sequence = new SingleSequence(engine);
  const logits = ids.map((id) => Float32Array.from(sequence.prefill([id])));
  engine.dispose();
  loaded.dispose();
  return logits;
}

async function check(name, expected, type, run) {
  let lines;
  try {
    lines = (await run()).toString().trim().split('\n');
  } catch (error) {
    const refused = /cannot be written as/.test(error.message);
    if (!refused) failed++;
    console.log(`${refused ? 'refused' : 'FAILED '}  ${name}: ${error.message}`);
    return;
  }
  const sameIds = lines[0].trim().split(' ').map(Number).join() === tokenizer.encode(TEXT).join();
  let [squares, errorSquares] = [0, 0];
  for (const [at, row] of expected.entries()) {
    const got = lines[at + 1].trim().split(' ').map(Number);
    for (const [i, logit] of row.entries()) {
      squares += logit ** 2;
      errorSquares += (logit - got[i]) ** 2;
    }
  }
  const error = Math.sqrt(errorSquares / squares);
  const right = sameIds && error <= TOLERANCES[type];
  if (!right) failed++;
  console.log(
    `${right ? 'same   ' : 'DIFFERS'}  ${name}: error ${error.toExponential(1)}, ids ${sameIds ? 'equal' : 'DIFFER'}`,
  );
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

function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
