/** What llama.cpp prints, as its build 0c1e570 did, with fewer fields and another name of the file; and how its models are made. */

import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseBatchedBench, parseBench, peerBatch, peerDecode, peerModel, peerPrefill } from './llama-cpp.mjs';

const BENCH = `[
  {
    "build_commit": "0c1e570",
    "build_number": 1,
    "cpu_info": "AMD EPYC",
    "model_filename": "tinyllama-1.1b-TQ2_0.gguf",
    "model_type": "llama 1B (guessed) TQ2_0 - 2.06 bpw ternary",
    "n_threads": 2,
    "n_prompt": 32,
    "n_gen": 0,
    "n_depth": 0,
    "avg_ns": 363828937,
    "stddev_ns": 17690084,
    "avg_ts": 88.057510,
    "stddev_ts": 4.281531,
    "samples_ns": [ 376337716, 351320158 ],
    "samples_ts": [ 85.03, 91.085 ]
  },
  {
    "build_commit": "0c1e570",
    "build_number": 1,
    "cpu_info": "AMD EPYC",
    "model_filename": "tinyllama-1.1b-TQ2_0.gguf",
    "model_type": "llama 1B (guessed) TQ2_0 - 2.06 bpw ternary",
    "n_threads": 2,
    "n_prompt": 0,
    "n_gen": 8,
    "n_depth": 0,
    "avg_ns": 174548659,
    "stddev_ns": 7389622,
    "avg_ts": 45.873602,
    "stddev_ts": 1.942086,
    "samples_ns": [ 179773911, 169323407 ],
    "samples_ts": [ 44.5003, 47.2469 ]
  }
]
`;

const BATCHED = `
{"n_kv_max": 512, "n_batch": 2048, "n_ubatch": 512, "flash_attn": -1, "is_pp_shared": 0, "n_gpu_layers": -1, "n_threads": 2, "n_threads_batch": 2, "pp": 8, "tg": 4, "pl": 1, "n_kv": 12, "t_pp": 0.119778, "speed_pp": 66.790230, "t_tg": 0.105027, "speed_tg": 38.085445, "t": 0.224805, "speed": 53.379597}
{"n_kv_max": 512, "n_batch": 2048, "n_ubatch": 512, "flash_attn": -1, "is_pp_shared": 0, "n_gpu_layers": -1, "n_threads": 2, "n_threads_batch": 2, "pp": 8, "tg": 4, "pl": 2, "n_kv": 24, "t_pp": 0.217031, "speed_pp": 73.722183, "t_tg": 0.189226, "speed_tg": 42.277489, "t": 0.406257, "speed": 59.075905}
`;

const folder = mkdtempSync(path.join(tmpdir(), 'llama-cpp-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A program in `folder` that is a shell script. */
function program(name, lines) {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${lines}\n`);
  chmodSync(file, 0o755);
  return file;
}

describe('results', () => {
  it('llama-bench: one entry a test, the median of its repetitions', () => {
    const entries = parseBench(JSON.parse(BENCH));
    expect(entries.map(({ batch, build }) => [batch, build])).toEqual([
      [1, '0c1e570'],
      [1, '0c1e570'],
    ]);
    expect(entries[0].tokensPerSecond).toBeCloseTo((85.03 + 91.085) / 2);
    expect(entries[1].tokensPerSecond).toBeCloseTo((44.5003 + 47.2469) / 2);
  });

  it('llama-batched-bench: generated tokens of all sequences, by batch', () => {
    expect(parseBatchedBench(BATCHED)).toEqual([
      { batch: 1, tokensPerSecond: 38.085445, build: null },
      { batch: 2, tokensPerSecond: 42.277489, build: null },
    ]);
    expect(() => parseBatchedBench('error: out of memory\n')).toThrow(/no results: error: out of memory/);
  });
});

it('asks for generation alone, for a prompt alone, for batches after a short prompt', () => {
  const asked = path.join(folder, 'asked');
  writeFileSync(path.join(folder, 'bench.json'), BENCH);
  writeFileSync(path.join(folder, 'batched.jsonl'), BATCHED);
  program('llama-bench', `echo "$@" >> '${asked}'; cat '${folder}/bench.json'`);
  program('llama-batched-bench', `echo "$@" >> '${asked}'; echo 'loading' >&2; cat '${folder}/batched.jsonl'`);
  const common = { bin: folder, model: 'M.gguf', threads: '2' };
  expect(peerDecode({ ...common, tokens: 32 })).toHaveLength(2);
  peerPrefill({ ...common, tokens: 512 });
  expect(peerBatch({ ...common, tokens: 32, batches: [1, 2] })[1].tokensPerSecond).toBe(42.277489);
  expect(readFileSync(asked, 'utf8').trim().split('\n')).toEqual([
    '-m M.gguf -t 2 -p 0 -n 32 -r 2 -o json',
    '-m M.gguf -t 2 -p 512 -n 0 -r 2 -o json',
    '-m M.gguf -t 2 -c 4096 -npp 16 -ntg 32 -npl 1,2 --output-format jsonl',
  ]);
});

describe('models', () => {
  const config = { dim: 64, hiddenDim: 160, nLayers: 2, nHeads: 4, nKvHeads: 2, vocabSize: 256 };
  const models = path.join(folder, 'models');
  const make = (python) => peerModel({ folder: models, shape: 'tiny', config, type: 'Q8_0', python });

  it('one that was not finished is none', () => {
    const failing = program('failing', 'echo half > "$2"; echo no gguf here >&2; exit 1');
    expect(() => make(failing)).toThrow(/no gguf here/);
    expect(existsSync(path.join(models, 'tiny-Q8_0.gguf'))).toBe(false);
  });

  it('is made of the sizes of the shape, once', () => {
    const python = program('python', `echo made >> '${folder}/log'; echo "$@" > "$2"`);
    const file = make(python);
    expect(make(python)).toBe(file);
    expect(readFileSync(path.join(folder, 'log'), 'utf8')).toBe('made\n');
    expect(readdirSync(models)).toEqual(['tiny-Q8_0.gguf']);
    const sizes = '--dim 64 --hidden-dim 160 --layers 2 --heads 4 --kv-heads 2 --vocab-size 256';
    expect(readFileSync(file, 'utf8')).toContain(`llama_shape.py ${file}.unfinished --type Q8_0 ${sizes}`);
  });
});
