/**
 * Browser speed: one model in Chromium, int8 in our engine, dense and sparse, and as Q8_0 in wllama (llama.cpp in wasm), which write the same
 * text from the same prompt in turns; and ours in Node with native kernels, for scale.
 *
 *   node bench/browser-speed.mjs MODEL [--threads 1,2] [--sparsity 0,0.4,0.5,0.6] [--tokens 48] [--rounds 3] [--chromium FILE] [--out FILE]
 *
 * MODEL is whatever `qsparse convert` takes. Chromium and wllama are installed from npm below build/ the first time, the model is converted
 * into both formats there. Prints the result; --out writes it too (bench/results/browser-speed.json). Then: node bench/browser-speed-doc.mjs.
 */

import path from 'node:path';
import { parseArgs } from 'node:util';
import { currentCommit } from '../dist/cli/bench/current-commit.js';
import { describeMachine } from '../dist/cli/shared/machine.js';
import { load } from '../dist/index.js';
import { speedRows } from './lib/browser-speed-rows.mjs';
import { askPage, chromiumFile } from './lib/chromium.mjs';
import { processorFlags, ROOT, writeJson } from './lib/processes.mjs';
import { buildSpeedPage, FOLDERS, installPeer, modelsOf } from './lib/speed-page.mjs';
import { ourVariants, takeTurns } from './lib/text-turns.mjs';

/** Any text of ordinary words: long enough that reading it is more than starting to. */
const PROMPT =
  `The lighthouse stood on a narrow strip of rock, an hour by boat from the village. For forty years the same family had kept
its lamp, and each of them had written down the weather, the ships and the birds in a long row of grey books. When the last keeper grew too
old to climb the stairs, a young woman came out from the mainland. It began like this:`.replaceAll('\n', ' ');

const text = { type: 'string' };
const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { ...text, default: '1,2' },
    sparsity: { ...text, default: '0,0.4,0.5,0.6' },
    tokens: { ...text, default: '48' },
    rounds: { ...text, default: '3' },
    chromium: text,
    out: text,
  },
});
const [model] = positionals;
if (model === undefined) throw new Error('MODEL is missing: node bench/browser-speed.mjs MODEL');
const numbers = (list) => list.split(',').map(Number);
const asked = { prompt: PROMPT, tokens: Number(given.tokens), rounds: Number(given.rounds) };
const sparsities = numbers(given.sparsity);

const browser = chromiumFile(given.chromium);
const peer = installPeer();
const { name, ours, theirs } = modelsOf(model);
const page = await buildSpeedPage();

const parts = [];
for (const threads of numbers(given.threads)) {
  const question = { ...asked, threads, sparsities, model: `/${ours}/`, peer: { ...peer, model: `/${theirs}` } };
  const inPage = { where: 'Chromium', ...(await askPage(browser, page, question, FOLDERS)) };
  const inNode = { where: 'Node', ...(await measureInNode(threads)) };
  parts.push(inPage, inNode);
  for (const row of [inPage, inNode].flatMap((part) => speedRows(part, asked.tokens))) console.error(lineOf(row));
}

const [{ build, browser: agent, turns }] = parts;
const result = {
  bench: 'browser-speed',
  model: name,
  ...{ promptTokens: turns[0].promptTokens, tokens: asked.tokens, rounds: asked.rounds },
  ...{ machine: describeMachine(), processor: processorFlags(), commit: currentCommit() },
  browser: `Chromium ${agent.match(/Chrom(?:e|ium)\/([\d.]+)/)?.[1] ?? agent}`,
  peer: `${peer.name} ${peer.version} (llama.cpp ${build})`,
  rows: parts.flatMap((part) => speedRows(part, asked.tokens)),
};
if (given.out) writeJson(path.resolve(given.out), result);
console.log(JSON.stringify(result, null, 1));

async function measureInNode(threads) {
  const own = await load(path.join(ROOT, ours), { threads, contextTokens: 1024 });
  const turns = await takeTurns(ourVariants(own, sparsities, asked), asked);
  await own.dispose();
  return { turns, threads, backend: own.info.backend };
}

function lineOf({ where, engine, threads, sparsity, decode, over }) {
  const rates = decode.rates.map((one) => one.toFixed(1)).join(', ');
  const beside = over === null ? '' : `, ${over.decode.toFixed(2)} times wllama`;
  return `${where}, ${engine}, threads ${threads}, sparsity ${sparsity}: ${rates} tokens/s${beside}`;
}
