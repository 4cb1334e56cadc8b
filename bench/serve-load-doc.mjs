/**
 * Fills the table of a server under load in docs/server.md from the committed result alone: node bench/serve-load-doc.mjs [--results bench/results] [--doc docs/server.md]
 *
 * The prose around it is written by hand and stays as it is.
 */

import path from 'node:path';
import { writeDocument } from './lib/document.mjs';
import { fillBlocks, table } from './lib/markdown.mjs';
import { memory, percent, whole } from './lib/number-text.mjs';
import { readJson } from './lib/processes.mjs';

const COLUMNS = [
  { title: 'server', left: true, of: ({ server }) => server },
  { title: 'zeros asked for', of: ({ sparsity }) => percent(sparsity) },
  { title: 'requests', of: ({ requests }) => whole(requests) },
  { title: 'lost', of: ({ lost }) => lost },
  { title: 'other text than alone', of: ({ mixedUp }) => mixedUp },
  { title: 'pieces/s', of: ({ piecesPerSecond }) => whole(piecesPerSecond) },
  { title: 'spread of rounds', of: ({ spread }) => percent(spread) },
  { title: 'first piece, p50 / p99', of: ({ firstMs }) => `${whole(firstMs.p50)} / ${whole(firstMs.p99)} ms` },
  { title: 'between pieces, p50 / p99', of: ({ betweenMs }) => `${whole(betweenMs.p50)} / ${whole(betweenMs.p99)} ms` },
  { title: 'memory, first tenth', of: (row) => memory(row.memory.mediansBytes[0]) },
  { title: 'last tenth', of: (row) => memory(row.memory.mediansBytes.at(-1)) },
  { title: 'most', of: (row) => memory(row.memory.mostBytes) },
];

export function readResults(folder) {
  return readJson(path.join(folder, 'serve-load.json'));
}

/** The page with its block filled; there are no figures. */
export function generate(text, result) {
  return { text: fillBlocks(text, { load: result === null ? 'Not measured yet.' : blockOf(result) }), figures: {} };
}

function blockOf({ model, peer, clients, rounds, maxTokens, context, machine, commit, rows }) {
  const { cpu, cores, os, node, backend } = machine;
  const beside = peer === null ? '' : `, beside ${peer} in llama.cpp's server`;
  return [
    `${model}${beside}: ${clients} clients, at most ${maxTokens} tokens an answer, a context of ${context} for each, ${rounds} rounds in turns. ${cpu}, ${cores} cores, ${os}, Node ${node}; ${backend}; commit ${commit}.`,
    '',
    table(rows, COLUMNS),
  ].join('\n');
}

if (process.argv[1] === import.meta.filename) writeDocument('server.md', generate, readResults);
