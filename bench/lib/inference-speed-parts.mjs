/**
 * The parts of the study of inference speed: which cases each has, and what each case asks `qsparse` and llama.cpp for.
 *
 * A case is `{ key, asked, measure }` (study.mjs). It is measured in rounds, ours and theirs in turns, each a process of its own.
 */

import path from 'node:path';
import { chromiumFile } from './chromium.mjs';
import { measureInChromium } from './chromium-bench.mjs';
import { mergeRounds } from './inference-speed-rounds.mjs';
import { PEER_TYPES, peerBatch, peerDecode, peerModel, peerPrefill } from './llama-cpp.mjs';
import { qsparse, ROOT, runJson } from './processes.mjs';
import { TRAINED, trainedModel } from './trained-model.mjs';

const DECODE_SPARSITIES = '0,0.4,0.5,0.6,0.7';
const PREFILL_SPARSITIES = '0,0.4,0.6,0.7';
const SPARSE = '0,0.6';
const PROMPT_TOKENS = 512;
const PEER_TOKENS = 32;
const BATCHES = [1, 2, 4, 8, 16, 32];
/** From a model trained with an L1 term to one without. */
const OPEN_GATES = '0.02,0.05,0.1,0.2,0.3,0.5';
const PRODUCT_TOKENS = '1,2,4,8,16,32,192';
/** As after training with an L1 term. */
const CLOSED_GATES = '0.95';

const decodePeer = { name: `decode of ${PEER_TOKENS} tokens`, tokens: PEER_TOKENS, run: peerDecode };
const prefillPeer = { name: `prefill of ${PROMPT_TOKENS} tokens`, tokens: PROMPT_TOKENS, run: peerPrefill };
const batchPeer = {
  name: `${PEER_TOKENS} tokens of ${BATCHES} sequences`,
  tokens: PEER_TOKENS,
  batches: BATCHES,
  run: peerBatch,
};

/** `peers`: the part is measured beside llama.cpp. `trained`: on a model that is trained for it. */
export const PARTS = {
  limits: { peers: false, cases: limitsCases },
  decode: { peers: true, cases: (options) => dtypeCases('decode', decodeArgs(DECODE_SPARSITIES), decodePeer, options) },
  prefill: {
    peers: true,
    cases: (options) => {
      const asked = ['--sparsity', PREFILL_SPARSITIES, '--tokens', PROMPT_TOKENS];
      return dtypeCases('prefill', asked, prefillPeer, options);
    },
  },
  batch: {
    peers: true,
    cases: (options) => {
      const asked = ['--batch', BATCHES.join(','), '--sparsity', SPARSE, '--tokens', 8];
      return [dtypeCase('batch', 'int8', asked, batchPeer, options)];
    },
  },
  gates: {
    peers: true,
    cases: (options) => {
      const asked = [...decodeArgs(SPARSE), '--closed-gates', CLOSED_GATES];
      return [dtypeCase('decode', 'int8', asked, decodePeer, options)];
    },
  },
  select: {
    peers: false,
    cases: (options) => [benchCase('select', ['select', '--shape', options.shape], null, options)],
  },
  products: {
    peers: false,
    cases: (options) =>
      options.dtypes.map((dtype) => {
        const asked = ['product', '--dtype', dtype, '--tokens', PRODUCT_TOKENS, '--sparsity', SPARSE];
        return benchCase(dtype, asked, null, options);
      }),
  },
  wasm: {
    peers: false,
    cases: (options) => {
      const asked = ['--sparsity', SPARSE, '--backend', 'wasm'];
      return [dtypeCase('decode', 'int8', asked, null, { ...options, shape: options.smallShape })];
    },
  },
  chromium: { peers: false, cases: chromiumCases },
  speculation: { peers: false, trained: true, cases: speculationCases },
  layout: {
    peers: false,
    cases: (options) =>
      options.dtypes.map((dtype) => {
        const asked = ['layout', '--shape', options.shape, '--dtype', dtype, '--sparsity', SPARSE];
        return benchCase(dtype, [...asked, '--open-gates', OPEN_GATES], null, options);
      }),
  },
};

function decodeArgs(sparsities) {
  return ['--sparsity', sparsities, '--tokens', 16];
}

/** The limits of the machine as `qsparse doctor` measures them: the most of all rounds, since other programs only ever take from them. */
function limitsCases({ threads, rounds }) {
  const measure = () => {
    const all = Array.from({ length: Number(rounds) }, () => qsparse(['doctor', '--threads', threads]));
    const [{ machine, backends, chosen }] = all;
    const peaks = all.map(({ measured }) => measured.find((one) => one.threads === Number(threads)));
    const most = (key) => Math.max(...peaks.map((one) => one[key]));
    const backend = backends.find(({ name }) => name === chosen).text;
    const row = { threads: Number(threads), gbPerSecond: most('gbPerSecond'), gflops: most('gflops') };
    return { machine: { ...machine, backend, threads: row.threads }, rows: [row] };
  };
  return [{ key: 'limits', asked: `doctor --threads ${threads}, ${rounds} rounds`, measure }];
}

/** The question of the part wasm, to a page. */
function chromiumCases({ smallShape: shape, threads, repeat, rounds, chromium }) {
  const asked = `decode in Chromium --shape ${shape} --dtype int8 --sparsity ${SPARSE} --threads ${threads} --repeat ${repeat}, ${rounds} rounds`;
  const measure = async () => {
    const sparsities = SPARSE.split(',').map(Number);
    const question = { shape, dtype: 'int8', sparsities, threads: Number(threads), repeat: Number(repeat) };
    const file = chromiumFile(chromium);
    const all = [];
    for (let round = 0; round < Number(rounds); round++) {
      all.push({ ours: await measureInChromium(file, question), theirs: [] });
      console.log(roundText(round, all.at(-1)));
    }
    return mergeRounds(all);
  };
  return [{ key: 'int8', asked, measure }];
}

function speculationCases({ run, text, threads, repeat, rounds }) {
  return ['int8', 'f32'].map((dtype) => {
    const args = ['--threads', threads, '--repeat', repeat];
    const measure = () => {
      const program = path.join(ROOT, 'bench/speculation.mjs');
      const once = () => runJson(process.execPath, [program, trainedModel(run, text, dtype), '--text', text, ...args]);
      return mergeRounds(Array.from({ length: Number(rounds) }, () => ({ ours: once(), theirs: [] })));
    };
    return { key: dtype, asked: `speculation.mjs ${args.join(' ')}, ${dtype}, ${TRAINED}, ${rounds} rounds`, measure };
  });
}

function dtypeCases(bench, asked, peer, options) {
  return options.dtypes.map((dtype) => dtypeCase(bench, dtype, asked, peer, options));
}

function dtypeCase(bench, dtype, asked, peer, options) {
  const args = [bench, '--shape', options.shape, '--dtype', dtype, ...asked];
  return benchCase(dtype, args, peer && { ...peer, type: PEER_TYPES[dtype] }, options);
}

function benchCase(key, asked, peer, options) {
  const { rounds, repeat, threads } = options;
  const args = ['bench', ...asked.map(String), '--threads', threads, '--repeat', repeat];
  const beside = peer && options.llama ? `, beside llama.cpp ${peer.type}: ${peer.name}` : '';
  const measure = async () => {
    const theirs = beside ? await peerOf(peer, options) : () => [];
    const all = [];
    for (let round = 0; round < Number(rounds); round++) {
      all.push({ ours: qsparse(args), theirs: theirs() });
      console.log(roundText(round, all.at(-1)));
    }
    return mergeRounds(all);
  };
  return { key, asked: `${args.join(' ')}, ${rounds} rounds${beside}`, measure };
}

/** A function that measures the peer once; its model is made before the first round. */
async function peerOf({ type, run, tokens, batches }, { shape, threads, llama }) {
  const { preset } = await import('../../dist/model/presets.js');
  const { resolveConfig } = await import('../../dist/model/resolve-config.js');
  const { models: folder, python, bin } = llama;
  const model = peerModel({ folder, shape, config: resolveConfig(preset(shape)), type, python });
  return () => run({ bin, model, threads, tokens, batches }).map((one) => ({ type, ...one }));
}

function roundText(round, { ours, theirs }) {
  const rates = ours.rows.filter((row) => row.tokensPerSecond).map((row) => row.tokensPerSecond.toFixed(1));
  const peers = theirs.map(({ type, tokensPerSecond }) => `${type} ${tokensPerSecond.toFixed(1)}`);
  const text = [...rates, ...peers].join(', ');
  return `  round ${round + 1}${text && `: ${text} tokens/s`}`;
}
