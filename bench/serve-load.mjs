/**
 * A server under load: so many clients stream texts at the same time; none may be lost, none mixed up.
 *
 *   node bench/serve-load.mjs MODEL [--sparsities 0,0.5] [--clients 64] [--requests 1280] [--rounds 4] [--max-tokens 64] [--context 512] [--out bench/results/serve-load.json]
 *     [--llama-server FILE --llama-model FILE.gguf]
 *
 * MODEL is served by `qsparse serve` with a place for every client, so that what is measured is the batch, not the queue. Every body is asked once alone first, and under load
 * each answer must be that text: bit for bit, which holds for int8 and ternary models (`qsparse convert`) on any machine. Then the load: times to the first piece of text and between
 * pieces as clients see them, pieces a second, and the memory of the server while it runs. Each of --sparsities, which requests ask for, is a load of its own. With --llama-server
 * the same clients and bodies go to llama.cpp's server over --llama-model, the same weights in its own format; its answers are not compared, because its batches round
 * differently. The loads take turns in rounds, --requests over all of them; a server that is not asked waits without work.
 */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { loadBodies, loadServer, summarise } from './lib/load-clients.mjs';
import { MAIN, processorFlags, qsparse, runName, writeJson } from './lib/processes.mjs';
import { median, spread } from './lib/statistics.mjs';

const MEMORY_EVERY_MS = 500;
const START_MS = 120_000;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sparsities: { type: 'string', default: '0' },
    clients: { type: 'string', default: '64' },
    requests: { type: 'string', default: '1280' },
    rounds: { type: 'string', default: '4' },
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
const [clients, requests, rounds, maxTokens, context, threads] = [
  'clients',
  'requests',
  'rounds',
  'max-tokens',
  'context',
  'threads',
].map((name) => {
  const count = Number(values[name]);
  if (!(Number.isInteger(count) && count >= 1))
    throw new Error(`--${name}: expected a whole number, got ${values[name]}.`);
  return count;
});
const sparsities = values.sparsities.split(',').map(Number);
const requestsOfRound = Math.ceil(requests / rounds);

const servers = [];
try {
  const server = await startServer('qsparse', qsparseServer);
  const loads = sparsities.map((sparsity) => ({ server, sparsity, model: 'served', compares: true }));
  if (values['llama-server']) {
    loads.push({ server: await startServer('llama.cpp', llamaServer), sparsity: 0, compares: false });
  }
  const rows = await measure(loads);
  const { machine, commit } = qsparse(['bench', 'select', '--shape', 'd512-l8', '--repeat', '1']);
  const result = {
    bench: 'serve-load',
    model: runName(model),
    peer: values['llama-model'] ? runName(values['llama-model']) : null,
    ...{ clients, requests: requestsOfRound * rounds, rounds, maxTokens, context, threads },
    ...{ machine, processor: processorFlags(), commit },
    rows,
  };
  if (values.out) writeJson(values.out, result);
  console.log(JSON.stringify(result, null, 1));
  const own = rows.filter(({ server }) => server === 'qsparse');
  if (own.some(({ lost, mixedUp }) => lost > 0 || mixedUp > 0)) process.exitCode = 1;
} finally {
  for (const { child } of servers) child.kill('SIGKILL');
}

/** Of each load: its bodies alone, then its share of every round. */
async function measure(loads) {
  for (const load of loads) {
    const { server, sparsity } = load;
    const bodies = loadBodies(load.model, maxTokens);
    load.bodies = load.model === undefined ? bodies : bodies.map((body) => ({ ...body, sparsity }));
    load.label = `${server.name}, ${100 * sparsity} % zeros`;
    const alone = await loadServer({ url: server.url, bodies: load.bodies, clients: 1, requests: bodies.length });
    const failed = alone.records.find(({ error }) => error !== null);
    if (failed) throw new Error(`${load.label}, one request alone: ${failed.error}`);
    console.error(`${load.label}: ${bodies.length} texts alone in ${alone.seconds.toFixed(1)} s`);
    Object.assign(load, { alone, rounds: [] });
  }
  const memories = servers.map(({ child }) => watchMemory(child.pid));
  for (let round = 0; round < rounds; round++) {
    for (const load of loads) {
      const { server, bodies } = load;
      const part = await loadServer({ url: server.url, bodies, clients, requests: requestsOfRound });
      load.rounds.push(part);
      console.error(`${load.label}: round ${round + 1} of ${rounds} in ${part.seconds.toFixed(1)} s`);
    }
  }
  const memory = new Map(servers.map((server, s) => [server, memories[s].stop()]));
  return loads.map((load) => rowOf(load, memory.get(load.server)));
}

function rowOf({ server, sparsity, compares, alone, rounds }, memory) {
  const whole = {
    seconds: rounds.reduce((sum, { seconds }) => sum + seconds, 0),
    records: rounds.flatMap(({ records }) => records),
  };
  const rates = rounds.map((part) => summarise(part, null).piecesPerSecond);
  return {
    ...{ server: server.name, sparsity, aloneSeconds: alone.seconds },
    ...summarise(whole, compares ? textsOf(alone.records) : null),
    ...{ piecesPerSecondOfRounds: rates, spread: spread(rates), memory },
  };
}

/** `{ name, url, child }` of a server that answers. */
async function startServer(name, start) {
  const port = await freePort();
  const child = start(port);
  const url = `http://127.0.0.1:${port}`;
  const server = { name, url, child };
  servers.push(server);
  let said = '';
  child.stderr.on('data', (text) => {
    said = (said + text).slice(-2000);
  });
  await untilHealthy(url, child, () => said);
  return server;
}

function qsparseServer(port) {
  const size = ['--context', String(context), '--max-sequences', String(clients), '--max-queued', String(clients)];
  const args = [`served=${model}`, '--port', String(port), '--threads', String(threads), ...size];
  return spawn(process.execPath, [MAIN, 'serve', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** llama-server divides its context among its slots. */
function llamaServer(port) {
  const size = ['-c', String(context * clients), '-np', String(clients), '-t', String(threads), '-tb', String(threads)];
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
