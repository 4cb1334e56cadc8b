/**
 * A server under load: so many clients stream texts at the same time; none may be lost, none mixed up.
 *
 *   node bench/serve-load.mjs MODEL [--clients 64] [--requests 1280] [--max-tokens 64] [--context 512] [--out bench/results/serve-load.json]
 *     [--llama-server FILE --llama-model FILE.gguf]
 *
 * MODEL is served by `qsparse serve` with a place for every client, so that what is measured is the batch, not the queue. Every body is asked once alone first, and under load
 * each answer must be that text: bit for bit, which holds for int8 and ternary models (`qsparse convert`) on any machine. Then the load: times to the first piece of text and between
 * pieces as clients see them, pieces a second, and the memory of the server while it runs. With --llama-server the same clients and bodies go to llama.cpp's server over --llama-model,
 * the same weights in its own format; its answers are not compared, because its batches round differently.
 */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { loadBodies, loadServer, summarise } from './lib/load-clients.mjs';
import { MAIN, processorFlags, qsparse, runName, writeJson } from './lib/processes.mjs';
import { median } from './lib/statistics.mjs';

const MEMORY_EVERY_MS = 500;
const START_MS = 120_000;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    clients: { type: 'string', default: '64' },
    requests: { type: 'string', default: '1280' },
    'max-tokens': { type: 'string', default: '64' },
    context: { type: 'string', default: '512' },
    threads: { type: 'string', default: '2' },
    'llama-server': { type: 'string' },
    'llama-model': { type: 'string' },
    out: { type: 'string' },
  },
});
const [model] = positionals;
if (model === undefined) throw new Error('MODEL is missing: node bench/serve-load.mjs MODEL');
if ((values['llama-server'] === undefined) !== (values['llama-model'] === undefined)) {
  throw new Error('--llama-server and --llama-model go together.');
}
const [clients, requests, maxTokens, context] = ['clients', 'requests', 'max-tokens', 'context'].map((name) => {
  const count = Number(values[name]);
  if (!(Number.isInteger(count) && count >= 1))
    throw new Error(`--${name}: expected a whole number, got ${values[name]}.`);
  return count;
});

const rows = [await measure('qsparse', qsparseServer, true)];
if (values['llama-server']) rows.push(await measure('llama.cpp', llamaServer, false));

const { machine, commit } = qsparse(['bench', 'select', '--shape', 'd512-l8', '--repeat', '1']);
const result = {
  bench: 'serve-load',
  model: runName(model),
  peer: values['llama-model'] ? runName(values['llama-model']) : null,
  ...{ clients, requests, maxTokens, context, threads: Number(values.threads) },
  ...{ machine, processor: processorFlags(), commit },
  rows,
};
if (values.out) writeJson(values.out, result);
console.log(JSON.stringify(result, null, 1));
if (rows[0].lost > 0 || rows[0].mixedUp > 0) process.exitCode = 1;

/** One server: each body alone, then the load. */
async function measure(name, start, compares) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = start(port);
  let said = '';
  child.stderr.on('data', (text) => {
    said = (said + text).slice(-2000);
  });
  try {
    await untilHealthy(url, child, () => said);
    const bodies = loadBodies(name === 'qsparse' ? 'served' : undefined, maxTokens);
    const alone = await loadServer({ url, bodies, clients: 1, requests: bodies.length });
    const failed = alone.records.find(({ error }) => error !== null);
    if (failed) throw new Error(`${name}, one request alone: ${failed.error}`);
    console.error(`${name}: ${bodies.length} texts alone in ${alone.seconds.toFixed(1)} s`);
    const memory = watchMemory(child.pid);
    const onEnd = (count) => count % clients === 0 && console.error(`${name}: ${count} of ${requests}`);
    const load = await loadServer({ url, bodies, clients, requests, onEnd });
    return {
      server: name,
      aloneSeconds: alone.seconds,
      ...summarise(load, compares ? textsOf(alone.records) : null),
      memory: memory.stop(),
    };
  } finally {
    child.kill('SIGKILL');
  }
}

function qsparseServer(port) {
  const size = ['--context', String(context), '--max-sequences', String(clients), '--max-queued', String(clients)];
  const args = [`served=${model}`, '--port', String(port), '--threads', values.threads, ...size];
  return spawn(process.execPath, [MAIN, 'serve', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** llama-server divides its context among its slots. */
function llamaServer(port) {
  const size = ['-c', String(context * clients), '-np', String(clients), '-t', values.threads, '-tb', values.threads];
  const args = ['-m', values['llama-model'], '--port', String(port), '--host', '127.0.0.1', '-cb', ...size];
  return spawn(values['llama-server'], args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function textsOf(records) {
  const texts = [];
  for (const { body, text } of records) texts[body] = text;
  return texts;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function untilHealthy(url, child, said) {
  const begin = performance.now();
  while (performance.now() - begin < START_MS) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}: ${said()}`);
    const isUp = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the server did not come up within ${START_MS / 1000} s: ${said()}`);
}

/** Resident memory over time, in bytes: ten medians from the beginning to the end, and the most. */
function watchMemory(pid) {
  const samples = [];
  const look = () => {
    const kilobytes = /VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    if (kilobytes) samples.push(1024 * Number(kilobytes));
  };
  look();
  const timer = setInterval(look, MEMORY_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      look();
      const tenth = Math.max(1, Math.ceil(samples.length / 10));
      const medians = [];
      for (let first = 0; first < samples.length; first += tenth)
        medians.push(median(samples.slice(first, first + tenth)));
      return { mediansBytes: medians, mostBytes: Math.max(...samples) };
    },
  };
}
