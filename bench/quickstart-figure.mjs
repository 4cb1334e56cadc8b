/**
 * Draws the figure of the README from a quickstart whose dense twin was trained to the end:
 *
 *   npx qsparse quickstart --minutes 3 --dense-share 1 --out runs/figure
 *   node bench/quickstart-figure.mjs runs/figure
 *
 * Writes the points to bench/results/quickstart.json, with machine and results, and draws docs/figures/quickstart.svg from them.
 * Without an argument it draws the committed points again.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { curveOf, readRecords } from './lib/run-curves.mjs';
import { chart } from './lib/svg-chart.mjs';

const root = path.join(import.meta.dirname, '..');
const RESULT = path.join(root, 'bench/results/quickstart.json');
const FIGURE = path.join(root, 'docs/figures/quickstart.svg');

async function collect(directory) {
  const result = JSON.parse(readFileSync(path.join(directory, 'result.json'), 'utf8'));
  const { directory: _, report: __, ...rest } = result;
  const curve = async (name) => curveOf(await readRecords(path.join(directory, name)));
  const curves = { dense: await curve('dense'), sparse: await curve('sparse') };
  writeFileSync(RESULT, `${JSON.stringify({ bench: 'quickstart', ...rest, curves }, null, 1)}\n`);
}

/** An axis from `min` to `max` itself, with five ticks. */
function exactAxis(min, max, format) {
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => min + share * (max - min));
  return { min, max, ticks: ticks.map((value) => [value, format(value)]) };
}

function panel(curves, key, title, format) {
  const all = Object.values(curves).flatMap(({ points }) => points);
  const losses = all.map(({ loss }) => loss);
  return {
    title,
    x: exactAxis(0, Math.max(...all.map((point) => point[key])), format),
    y: exactAxis(Math.min(...losses), Math.max(...losses), (loss) => loss.toFixed(1)),
    series: Object.entries(curves).map(([style, { points }]) => ({
      style,
      points: points.map((point) => [point[key], point.loss]),
    })),
  };
}

function draw() {
  const { curves, machine, backend } = JSON.parse(readFileSync(RESULT, 'utf8'));
  const svg = chart({
    label: 'Training loss of the dense and the sparse model by tokens and by seconds',
    panels: [
      panel(curves, 'tokens', 'Training loss (nats) by tokens', (value) => `${Math.round(value / 1000)} k`),
      panel(curves, 'seconds', 'The same by seconds of training', (value) => `${Math.round(value)} s`),
    ],
    legend: [
      { style: 'dense', text: 'dense' },
      { style: 'sparse', text: '60 % zeros' },
    ],
    footer: `${machine.split(',').slice(0, 2).join(',')}; ${backend}`,
  });
  writeFileSync(FIGURE, svg);
}

const [directory] = process.argv.slice(2);
if (directory) await collect(directory);
draw();
console.log(`wrote ${path.relative(root, FIGURE)}`);
