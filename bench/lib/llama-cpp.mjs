/**
 * llama.cpp as a peer: GGUF files of a shape with random weights, and its own two benches, run and read.
 *
 * The files are made once, by bench/peers/llama_shape.py, and kept; the programs are those of a build of llama.cpp. What is read was
 * printed by the build that bench/lib/llama-cpp.test.mjs has samples of.
 */

import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { ROOT, runJson, runText } from './processes.mjs';
import { median } from './statistics.mjs';

/** The type of llama.cpp that a dtype is compared with: its best on a CPU of as many bits, or fewer. */
export const PEER_TYPES = { f32: 'F16', bf16: 'F16', int8: 'Q8_0', ternary: 'TQ2_0' };

/** Where prompts are left out, or generation. */
const NOTHING = '0';
/** Room for 32 sequences of a short prompt and what is measured. */
const BATCH_CONTEXT = 4096;

/**
 * A GGUF of `config` (as the presets of qsparse have it) and `type` in `folder`, made where it is missing. It appears whole, so that one
 * that was stopped is not taken for finished.
 */
export function peerModel({ folder, shape, config, type, python }) {
  const file = path.join(folder, `${shape}-${type}.gguf`);
  if (existsSync(file)) return file;
  const sizes = {
    dim: config.dim,
    'hidden-dim': config.hiddenDim,
    layers: config.nLayers,
    heads: config.nHeads,
    'kv-heads': config.nKvHeads,
    'vocab-size': config.vocabSize,
  };
  const args = Object.entries({ type, ...sizes }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  mkdirSync(folder, { recursive: true });
  const unfinished = `${file}.unfinished`;
  runText(python, [path.join(ROOT, 'bench/peers/llama_shape.py'), unfinished, ...args]);
  renameSync(unfinished, file);
  return file;
}

/** Tokens per second of one sequence, generated from an empty context: `[{ batch, tokensPerSecond, build }]`. */
export function peerDecode({ bin, model, threads, tokens }) {
  return runBench(bin, ['-m', model, '-t', threads, '-p', NOTHING, '-n', tokens]);
}

/** Tokens per second of a prompt: the same form. */
export function peerPrefill({ bin, model, threads, tokens }) {
  return runBench(bin, ['-m', model, '-t', threads, '-p', tokens, '-n', NOTHING]);
}

/** Tokens per second of `batches` sequences, all together: one entry for each of them. */
export function peerBatch({ bin, model, threads, tokens, batches }) {
  const context = ['-c', BATCH_CONTEXT, '-npp', 16, '-ntg', tokens, '-npl', batches.join(',')];
  const args = ['-m', model, '-t', threads, ...context, '--output-format', 'jsonl'];
  return parseBatchedBench(runText(path.join(bin, 'llama-batched-bench'), args.map(String)));
}

function runBench(bin, args) {
  return parseBench(runJson(path.join(bin, 'llama-bench'), [...args.map(String), '-r', '2', '-o', 'json']));
}

/** What `llama-bench -o json` prints, parsed: one entry a test. */
export function parseBench(entries) {
  return entries.map(({ samples_ts: rates, build_commit: build }) => ({
    batch: 1,
    tokensPerSecond: median(rates),
    build,
  }));
}

/** What `llama-batched-bench --output-format jsonl` prints: a line a batch, between lines that are none of it. It does not name its build. */
export function parseBatchedBench(text) {
  const entries = text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  if (entries.length === 0) throw new Error(`llama-batched-bench printed no results: ${text.slice(0, 200)}`);
  return entries.map(({ pl, speed_tg: rate }) => ({ batch: pl, tokensPerSecond: rate, build: null }));
}
