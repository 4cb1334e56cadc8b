/**
 * The tables of docs/inference-speed.md: results in, Markdown out. Nothing is measured and nothing is read here.
 *
 * `results` is by name of the part what its file has, or null where there is none: then the block says how to measure it.
 */

import {
  AIM_SPARSITY,
  batchLimit,
  bytesOverExpected,
  comparisons,
  isDense,
  memoryRate,
  rowsOf,
} from './inference-speed-rows.mjs';
import { targetsOf } from './inference-speed-targets.mjs';
import { table } from './markdown.mjs';
import { memory, percent, times, whole } from './number-text.mjs';
import { originsText } from './origins.mjs';
import { staysAbove } from './statistics.mjs';

/** The parts that have a block of their own: how it is made, and what the figure under it shows. */
const BLOCKS = {
  decode: { of: decodeBlock },
  prefill: { of: prefillBlock },
  batch: { of: batchBlock, figure: 'Speed-up over dense and tokens per second, by sequences decoded together' },
  gates: { of: gatesBlock },
  products: { of: productsBlock },
  select: { of: selectBlock },
  wasm: { of: wasmBlock },
  chromium: { of: wasmBlock },
  layout: { of: layoutBlock },
  speculation: { of: speculationBlock },
};
export const PARTS = ['limits', ...Object.keys(BLOCKS)];

/** Every block of the document by name. */
export function blocksOf(results) {
  const blocks = Object.entries(BLOCKS).map(([part, { of, figure }]) => {
    const rows = rowsOf(results, part);
    if (rows.length === 0) return [part, notMeasured(part)];
    return [part, of(rows, results) + (figure ? figureText(figure, part) : '')];
  });
  return {
    machine: machineBlock(results),
    targets: targetsBlock(results),
    peers: peersBlock(results),
    sparsity: sparsityBlock(results),
    roofline: rooflineBlock(results),
    ...Object.fromEntries(blocks),
  };
}

function notMeasured(parts) {
  return `Not measured yet: \`node bench/inference-speed.mjs --only ${parts}\`.`;
}

function figureText(text, name) {
  return `\n\n![${text}](figures/inference-${name}.svg)`;
}

// ---- all parts together -----------------------------------------------------------------------------------------------

function machineBlock(results) {
  const builds = new Set(comparisons(results).flatMap(({ peer }) => peer.build ?? []));
  return originsText(results) + (builds.size > 0 ? `\n- llama.cpp: build ${[...builds].join(', ')}` : '');
}

function targetsBlock(results) {
  const met = ({ wanted, value, most }) => (most ? value <= wanted : value >= wanted);
  const number = ({ share }, value) => (share ? percent(value, 1) : times(value));
  return table(targetsOf(results), [
    { title: `${percent(AIM_SPARSITY)} zeros against`, of: ({ text }) => text, left: true },
    { title: 'aim', of: (target) => `${target.most ? 'at most' : 'at least'} ${number(target, target.wanted)}` },
    { title: 'measured', of: (target) => (target.value === null ? 'not measured' : number(target, target.value)) },
    { title: '', of: (target) => (target.value === null ? '' : met(target) ? 'met' : 'missed'), left: true },
  ]);
}

const COMPARED = {
  decode: () => 'decode',
  prefill: () => 'prefill',
  batch: ({ batch }) => `batch of ${batch}`,
  gates: () => 'decode, 95 % closed gates',
};

function peersBlock(results) {
  const compared = comparisons(results);
  if (compared.length === 0) return notMeasured('decode,prefill,batch,gates');
  return table(compared, [
    { title: '', of: (one) => COMPARED[one.part](one), left: true },
    { title: 'ours', of: ({ dtype }) => dtype, left: true },
    { title: 'llama.cpp', of: ({ peer }) => peer.type, left: true },
    { title: 'llama.cpp, tokens/s', of: ({ peer }) => rate(peer.tokensPerSecond) },
    { title: 'spread', of: ({ peer }) => percent(peer.spread) },
    { title: 'dense, tokens/s', of: ({ dense }) => rate(dense?.tokensPerSecond) },
    { title: `${percent(AIM_SPARSITY)}, tokens/s`, of: ({ sparse }) => rate(sparse?.tokensPerSecond) },
    { title: 'dense, x llama.cpp', of: ({ dense, peer }) => times(dense?.over[peer.type]) },
    { title: `${percent(AIM_SPARSITY)}, x llama.cpp`, of: ({ sparse, peer }) => times(sparse?.over[peer.type]) },
    {
      title: 'x its best round',
      of: ({ sparse, peer }) => times(sparse && sparse.tokensPerSecond / Math.max(...peer.rates)),
    },
  ]);
}

function sparsityBlock(results) {
  if (rowsOf(results, 'decode').length + rowsOf(results, 'prefill').length === 0) return notMeasured('decode,prefill');
  return figureText('Speed-up over dense by sparsity, of decoding and of prefill', 'sparsity').trim();
}

function rooflineBlock(results) {
  if (rowsOf(results, 'decode').length === 0) return notMeasured('limits,decode');
  const { gbPerSecond, source } = memoryRate(results);
  const text = `The line is ${gbPerSecond.toFixed(1)} GB/s, ${source}. The rightmost point of a type is its dense token.`;
  return (
    text +
    figureText('Milliseconds a token by bytes a token, and the rate of each, beside that of the memory', 'roofline')
  );
}

// ---- parts ------------------------------------------------------------------------------------------------------------

const rate = (value) => (Number.isFinite(value) ? (value < 100 ? value.toFixed(1) : whole(value)) : '-');
const milliseconds = (value) => (value < 10 ? value.toFixed(3) : value.toFixed(1));
const megabytes = (bytes) => whole(bytes / 1e6);
const signed = (share) => `${share > 0 ? '+' : ''}${percent(share, 1)}`;

const DTYPE = { title: 'weights', of: (row) => row.dtype, left: true };
const SPARSITY = { title: 'sparsity', of: (row) => (isDense(row) ? 'dense' : percent(row.sparsity)) };
const ZEROS = { title: 'zeros', of: (row) => percent(row.zeros, 1) };
const RATE = { title: 'tokens/s', of: (row) => rate(row.tokensPerSecond) };
const SPEEDUP = { title: 'x dense', of: (row) => times(row.speedupOverDense) };
const SELECTION = { title: 'selection', of: (row) => percent(row.selectShare, 1) };
const SPREAD = { title: 'spread', of: (row) => percent(Math.max(row.spread, row.roundSpread)) };
const BYTES = { title: 'MB a token', of: (row) => megabytes(row.bytesPerToken) };
const BANDWIDTH = { title: 'GB/s', of: (row) => row.gbPerSecond.toFixed(1) };
const MS = { title: 'ms a token', of: (row) => milliseconds(row.msPerToken) };

function decodeBlock(rows) {
  return table(rows, [
    DTYPE,
    SPARSITY,
    ZEROS,
    MS,
    RATE,
    SPEEDUP,
    BYTES,
    { title: 'expected', of: (row) => megabytes(row.bytesExpected) },
    { title: 'distance', of: (row) => signed(bytesOverExpected(row)) },
    BANDWIDTH,
    SELECTION,
    { title: 'tensors', of: (row) => memory(row.peakBytes) },
    SPREAD,
  ]);
}

function prefillBlock(rows) {
  return table(rows, [DTYPE, SPARSITY, ZEROS, MS, RATE, SPEEDUP, SELECTION, SPREAD]);
}

function batchBlock(rows) {
  const sparse = rows.filter((row) => !isDense(row));
  const denseOf = (row) => rows.find((other) => isDense(other) && other.batch === row.batch);
  return table(sparse, [
    { title: 'sequences', of: (row) => row.batch },
    DTYPE,
    SPARSITY,
    { title: 'dense, tokens/s together', of: (row) => rate(denseOf(row)?.tokensPerSecond) },
    { title: 'sparse, tokens/s together', of: (row) => rate(row.tokensPerSecond) },
    SPEEDUP,
    { title: 'limit 1 / (1 - S^B)', of: (row) => times(batchLimit(row.sparsity, row.batch)) },
    SPREAD,
  ]);
}

function gatesBlock(rows) {
  return table(rows, [
    DTYPE,
    SPARSITY,
    { title: 'closed gates', of: (row) => (isDense(row) ? '-' : percent(row.closedGates)) },
    ZEROS,
    MS,
    RATE,
    SPEEDUP,
    BYTES,
    BANDWIDTH,
    SELECTION,
    SPREAD,
  ]);
}

/** One line a matrix, type and number of tokens: the faster way of each side, and how far the other one of the sparse ways is. */
function productsBlock(rows) {
  const keyOf = (row) => `${row.shape} ${row.dtype} ${row.tokens}`;
  const groups = [...new Set(rows.map(keyOf))].map((key) => rows.filter((row) => keyOf(row) === key));
  const fastest = (own) => own.reduce((best, row) => (row.msPerCall < best.msPerCall ? row : best));
  const lines = groups.map((own) => ({
    ...own[0],
    dense: fastest(own.filter(isDense)),
    sparse: own.filter((row) => !isDense(row)),
  }));
  const ms = (row) => (row ? milliseconds(row.msPerCall) : '-');
  return table(lines, [
    { title: 'matrix', of: ({ shape }) => shape, left: true },
    DTYPE,
    { title: 'tokens', of: ({ tokens }) => tokens },
    { title: 'dense', of: ({ dense }) => dense.way, left: true },
    { title: 'ms', of: ({ dense }) => ms(dense) },
    { title: 'sparse matvec, ms', of: ({ sparse }) => ms(sparse.find(({ way }) => way === 'matvec')) },
    { title: 'sparse matmul, ms', of: ({ sparse }) => ms(sparse.find(({ way }) => way === 'matmul')) },
    { title: 'faster', of: ({ sparse }) => fastest(sparse).way, left: true },
    { title: 'x dense', of: ({ sparse }) => times(fastest(sparse).speedupOverDense) },
  ]);
}

function selectBlock(rows) {
  return table(rows, [
    { title: 'inputs', of: (row) => row.dim },
    { title: 'kept', of: (row) => row.kept },
    { title: 'tokens a call', of: (row) => row.batch },
    { title: 'type', of: (row) => row.dtype, left: true },
    { title: 'ns a token', of: (row) => whole(row.nsPerToken) },
    SPREAD,
  ]);
}

function wasmBlock(rows) {
  return table(rows, [
    { title: 'shape', of: (row) => row.shape, left: true },
    DTYPE,
    SPARSITY,
    ZEROS,
    MS,
    RATE,
    SPEEDUP,
    BYTES,
    BANDWIDTH,
    SELECTION,
    SPREAD,
  ]);
}

/** One line a type, sparsity and share of open gates; under the table, up to which share `channels` is no slower. */
function layoutBlock(rows) {
  const variantOf = (row) => `${row.dtype} ${SPARSITY.of(row)}`;
  const lines = rows
    .filter(({ layout }) => layout === 'fused')
    .map((fused) => {
      const same = (row) => ['dtype', 'sparsity', 'openGates'].every((key) => row[key] === fused[key]);
      const channels = rows.find((row) => row.layout === 'channels' && same(row));
      return { ...fused, channels, open: (fused.open + channels.open) / 2 };
    });
  const crossings = [...new Set(lines.map(variantOf))].map(
    (variant) => `${variant} ${crossingText(lines.filter((line) => variantOf(line) === variant))}`,
  );
  const text = table(lines, [
    DTYPE,
    SPARSITY,
    { title: 'open gates', of: ({ open }) => percent(open, 1) },
    { title: 'fused, ms a token', of: (row) => milliseconds(row.msPerToken) },
    { title: 'channels, ms a token', of: ({ channels }) => milliseconds(channels.msPerToken) },
    { title: 'channels, x fused', of: ({ channels }) => times(channels.speedupOverFused) },
    {
      title: 'spread',
      of: (row) => percent(Math.max(...[row, row.channels].flatMap((one) => [one.spread, one.roundSpread]))),
    },
  ]);
  return `${text}\n\nUp to which share of open gates \`channels\` is no slower: ${crossings.join('; ')}.`;
}

/** Between two measured shares a line. */
function crossingText(lines) {
  const points = lines.map(({ open, channels }) => [-open, channels.speedupOverFused]).sort(([a], [b]) => a - b);
  const crossing = staysAbove(points, 1);
  if (crossing === null) return `below ${percent(-points.at(-1)[0])}`;
  return crossing === points[0][0] ? `above ${percent(-crossing)}` : percent(-crossing);
}

/** What a run of several tokens costs, and what came of drafts. */
function speculationBlock(rows) {
  const side = { title: 'sparsity', of: (row) => (isDense(row) ? 'dense' : 'as trained') };
  const plain = rows.filter(({ drafts, temperature }) => drafts === 'plain' && temperature === 0);
  const costs = table(plain, [
    DTYPE,
    side,
    ZEROS,
    ...[2, 3, 5, 9].map((count) => ({ title: `${count} tokens, x one`, of: (row) => times(row[`cost${count}`]) })),
  ]);
  const results = table(rows, [
    DTYPE,
    side,
    { title: 'temperature', of: ({ temperature }) => temperature },
    { title: 'drafts', of: ({ drafts }) => drafts, left: true },
    { title: 'tokens a run', of: ({ tokensPerRun }) => times(tokensPerRun) },
    { title: 'drafted', of: ({ drafted }) => whole(drafted) },
    { title: 'accepted', of: ({ acceptedShare }) => (acceptedShare === null ? '-' : percent(acceptedShare)) },
    MS,
    { title: 'x plain', of: ({ speedupOverPlain }) => times(speedupOverPlain) },
    SPREAD,
  ]);
  return `${costs}\n\n${results}`;
}
