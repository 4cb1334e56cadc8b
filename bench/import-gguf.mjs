/**
 * What it takes to bring in a large GGUF file: seconds and memory of packing it, and of the first token straight from it.
 *
 *   node bench/import-gguf.mjs [FILE.gguf] [--shape tinyllama-1.1b] [--rounds 3] [--out bench/results/import-gguf.json]
 *
 * Without FILE one is made below build/: the named shape with random weights in Q8_0 (SiLU gates, as llama.cpp has them), 1.2 GB for the default. Of each command, a process of its
 * own: wall time; the most memory that was resident at once (VmHWM of Linux); and the most of that which was no mapped file (RssAnon, looked at
 * every 20 ms), since pages of a mapped file are given back whenever somebody else needs the room. The file is read once before, so that the disk is not measured.
 */

import { spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MAIN, processorFlags, qsparse, ROOT, writeJson } from './lib/processes.mjs';
import { median } from './lib/statistics.mjs';

const WATCH_MS = 20;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shape: { type: 'string', default: 'tinyllama-1.1b' },
    rounds: { type: 'string', default: '3' },
    out: { type: 'string' },
  },
});

const scratch = path.join(ROOT, 'build/import-gguf');
mkdirSync(scratch, { recursive: true });
const file = positionals[0] ?? (await randomGguf(path.join(scratch, `${values.shape}-q8_0.gguf`), values.shape));
for await (const _ of createReadStream(file, { highWaterMark: 2 ** 24 }));

const packed = path.join(scratch, 'packed');
const COMMANDS = {
  'convert --dtype int8': ['convert', file, packed, '--dtype', 'int8', '--force'],
  'generate, one token, from the packed model': ['generate', packed, '--prompt', 'The', '--max-tokens', '1'],
  'generate, one token, from the file as it is': ['generate', file, '--prompt', 'The', '--max-tokens', '1'],
};
const rounds = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const measured = {};
  for (const [name, args] of Object.entries(COMMANDS)) {
    measured[name] = await watch(args);
    console.error(`round ${round + 1}: ${name}: ${JSON.stringify(measured[name])}`);
  }
  rounds.push(measured);
}
rmSync(packed, { recursive: true, force: true });

const { machine, commit } = qsparse(['bench', 'select', '--shape', 'd512-l8', '--repeat', '1']);
const result = {
  bench: 'import-gguf',
  file: { shape: positionals[0] === undefined ? values.shape : null, bytes: statSync(file).size },
  ...{ machine, processor: processorFlags(), commit },
  rows: Object.keys(COMMANDS).map((command) => {
    const all = rounds.map((measured) => measured[command]);
    const seconds = all.map((one) => one.seconds);
    return {
      command,
      seconds: median(seconds),
      spread: (Math.max(...seconds) - Math.min(...seconds)) / median(seconds),
      peakResidentBytes: Math.max(...all.map((one) => one.peakResidentBytes)),
      peakAnonymousBytes: Math.max(...all.map((one) => one.peakAnonymousBytes)),
    };
  }),
};
if (values.out) writeJson(values.out, result);
console.log(JSON.stringify(result, null, 1));

/** Runs `qsparse ...args` and watches its memory. */
async function watch(args) {
  const begin = performance.now();
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  let peakResidentBytes = 0;
  let peakAnonymousBytes = 0;
  const timer = setInterval(() => {
    const status = statusOf(child.pid);
    peakResidentBytes = Math.max(peakResidentBytes, status.VmHWM ?? 0);
    peakAnonymousBytes = Math.max(peakAnonymousBytes, status.RssAnon ?? 0);
  }, WATCH_MS);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`qsparse ${args.join(' ')} ended with ${code}:\n${said}`);
  return { seconds: (performance.now() - begin) / 1000, peakResidentBytes, peakAnonymousBytes };
}

/** Bytes by name, of Linux's /proc; nothing where the process has ended. */
function statusOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Object.fromEntries([...text.matchAll(/^(\w+):\s+(\d+) kB$/gm)].map(([, name, kib]) => [name, kib * 1024]));
  } catch {
    return {};
  }
}

/** Writes the file, unless it is there, one tensor at a time. */
async function randomGguf(to, shape) {
  if (existsSync(to)) return to;
  const { preset, resolveConfig, trainBpe, writeGguf } = await import('../dist/index.js');
  const { Prng } = await import('../dist/util/prng.js');
  const config = resolveConfig({ ...preset(shape), activation: 'silu' });
  const words = readFileSync(path.join(ROOT, 'docs/decisions.md'), 'utf8');
  const prng = new Prng(0);
  const read = (_, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (prng.next() - 0.5) / 16;
  };
  const text = { tokenizer: trainBpe([words], { vocabSize: 1024 }), tokenizerConfig: null };
  console.error(`writing ${to}`);
  await writeGguf({ path: shape, config, text, read, close() {} }, to, { type: 'q8_0' });
  return to;
}
