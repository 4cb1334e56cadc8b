/** The figures of docs/inference-speed.md: results in, `{ file name: SVG }` out, for the parts that are measured. */

import {
  AIM_SPARSITY,
  batchLimit,
  comparisons,
  dtypesOf,
  isAim,
  isDense,
  memoryRate,
  rowsOf,
} from './inference-speed-rows.mjs';
import { axis, categories, chart, levelAt, logAxis, speedupAxis } from './svg-chart.mjs';

/** A type of weights has one colour in all figures. */
const DTYPE_STYLES = { f32: 'dense', bf16: 'fourth', int8: 'sparse', ternary: 'third' };

const percent = (share) => `${Math.round(100 * share)} %`;

export function figuresOf(results) {
  const [decode, prefill, batch] = ['decode', 'prefill', 'batch'].map((part) => rowsOf(results, part));
  const figures = {};
  if (decode.length + prefill.length > 0) figures['inference-sparsity.svg'] = sparsityFigure({ decode, prefill });
  if (decode.length > 0) figures['inference-roofline.svg'] = rooflineFigure(decode, memoryRate(results));
  if (batch.length > 0) figures['inference-batch.svg'] = batchFigure(batch, comparisons(results));
  return figures;
}

/** One line a type: `point` of each of its rows. */
function seriesOf(rows, point) {
  return dtypesOf(rows).map((dtype) => ({
    style: DTYPE_STYLES[dtype],
    marks: true,
    points: rows
      .filter((row) => row.dtype === dtype)
      .map(point)
      .sort(([a], [b]) => a - b),
  }));
}

function dtypeLegend(rows, level) {
  const entries = dtypesOf(rows).map((dtype) => ({ style: DTYPE_STYLES[dtype], text: dtype }));
  return [...entries, { style: 'level', text: level }];
}

function sparsityFigure({ decode, prefill }) {
  const all = [...decode, ...prefill];
  const x = axis(0, Math.max(...all.map(({ sparsity }) => sparsity)), { format: percent });
  const panels = [
    ['Speed of decoding, dense = 1, by sparsity', decode],
    ['Speed of prefill, dense = 1, by sparsity', prefill],
  ]
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => ({
      title,
      x,
      y: speedupAxis(rows.map((row) => row.speedupOverDense)),
      series: [levelAt(1, x), ...seriesOf(rows, (row) => [row.sparsity, row.speedupOverDense])],
    }));
  const label = 'Speed-up of decoding and of prefill over dense by sparsity, one line a type of weights';
  return chart({ label, panels, legend: dtypeLegend(all, 'dense') });
}

/** Time over bytes, both in powers of two, so that the rate of the memory is a straight line; and the rate that each row reached. */
function rooflineFigure(rows, { gbPerSecond }) {
  const msOf = (megabytes) => megabytes / gbPerSecond;
  const sizes = rows.map((row) => row.bytesPerToken / 1e6).sort((a, b) => a - b);
  const size = logAxis(sizes[0], sizes.at(-1));
  const time = logAxis(msOf(sizes[0]), Math.max(...rows.map((row) => row.msPerToken)));
  const line = { style: 'level', points: sizes.map((bytes) => [size.at(bytes), time.at(msOf(bytes))]) };
  const times = seriesOf(rows, (row) => [size.at(row.bytesPerToken / 1e6), time.at(row.msPerToken)]);
  const sparsity = axis(0, Math.max(...rows.map((row) => row.sparsity)), { format: percent });
  const rates = seriesOf(rows, (row) => [row.sparsity, row.gbPerSecond]);
  const rate = axis(0, Math.max(gbPerSecond, ...rows.map((row) => row.gbPerSecond)));
  return chart({
    label:
      'Milliseconds of a decoded token by the bytes it touches, and bytes per second by sparsity, beside the rate of the memory',
    panels: [
      { title: 'ms a token, by MB a token', x: size, y: time, series: [line, ...times] },
      { title: 'GB/s, by sparsity', x: sparsity, y: rate, series: [levelAt(gbPerSecond, sparsity), ...rates] },
    ],
    legend: dtypeLegend(rows, `memory, ${gbPerSecond.toFixed(1)} GB/s`),
  });
}

function batchFigure(rows, compared) {
  const batches = [...new Set(rows.map(({ batch }) => batch))].sort((a, b) => a - b);
  const x = categories(batches);
  const at = (batch) => batches.indexOf(batch);
  const line = (style, points) => ({ style, marks: style !== 'level', points });
  const sparse = rows.filter(isAim);
  const limit = batches.map((batch) => [at(batch), batchLimit(AIM_SPARSITY, batch)]);
  const speedups = sparse.map((row) => [at(row.batch), row.speedupOverDense]);
  const rates = (own) => own.map((row) => [at(row.batch), row.tokensPerSecond]);
  const peers = compared.filter(({ part }) => part === 'batch').map(({ peer }) => peer);
  const lines = [line('sparse', rates(sparse)), line('dense', rates(rows.filter(isDense)))];
  if (peers.length > 0) lines.push(line('third', rates(peers)));
  const most = Math.max(...lines.flatMap(({ points }) => points.map(([, y]) => y)));
  return chart({
    label:
      'Speed-up over dense beside its limit, and tokens per second of all sequences, by sequences decoded together',
    panels: [
      {
        title: 'Speed, dense = 1, by sequences',
        x,
        y: speedupAxis([...limit, ...speedups].map(([, y]) => y)),
        series: [line('level', limit), line('sparse', speedups)],
      },
      { title: 'Tokens/s of all sequences', x, y: axis(0, most), series: lines },
    ],
    legend: [
      { style: 'sparse', text: `${percent(AIM_SPARSITY)} zeros` },
      { style: 'dense', text: 'dense' },
      ...(peers.length > 0 ? [{ style: 'third', text: `llama.cpp ${peers[0].type}` }] : []),
      { style: 'level', text: 'limit 1 / (1 - S^B)' },
    ],
  });
}
