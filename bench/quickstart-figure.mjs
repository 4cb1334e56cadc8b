/**
 * Draws the figure of the README from a quickstart whose dense twin was trained to the end:
 *
 *   npx qsparse quickstart --minutes 8 --dense-share 1 --out runs/figure
 *   node bench/quickstart-figure.mjs runs/figure
 *
 * Writes the points to bench/results/quickstart.json, with machine and results, and draws docs/figures/quickstart.svg from them.
 * Without an argument it draws the committed points again.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const RESULT = path.join(root, 'bench/results/quickstart.json');
const FIGURE = path.join(root, 'docs/figures/quickstart.svg');
const SMOOTHING_STEPS = 20;
const POINTS = 120;

/** Loss by tokens and by seconds, smoothed over SMOOTHING_STEPS and thinned to POINTS. */
function curveOf(directory) {
  const records = readFileSync(path.join(directory, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const steps = records.filter(({ type }) => type === 'step');
  const smoothed = steps.map(({ tokens, seconds }, i) => {
    const around = steps.slice(Math.max(0, i - SMOOTHING_STEPS + 1), i + 1);
    const loss = around.reduce((sum, step) => sum + step.loss, 0) / around.length;
    return { tokens, seconds: Number(seconds.toFixed(2)), loss: Number(loss.toFixed(4)) };
  });
  const every = Math.ceil(smoothed.length / POINTS);
  const points = smoothed.filter((_, i) => i >= SMOOTHING_STEPS && (i % every === 0 || i === smoothed.length - 1));
  const validation = records.filter(({ type }) => type === 'validation').map(({ tokens, loss }) => ({ tokens, loss }));
  return { points, validation };
}

function collect(directory) {
  const result = JSON.parse(readFileSync(path.join(directory, 'result.json'), 'utf8'));
  const { directory: _, report: __, ...rest } = result;
  const curves = { dense: curveOf(path.join(directory, 'dense')), sparse: curveOf(path.join(directory, 'sparse')) };
  writeFileSync(RESULT, `${JSON.stringify({ bench: 'quickstart', ...rest, curves }, null, 1)}\n`);
}

const PANEL = { width: 380, height: 250, left: 50, top: 34, gap: 70 };

function panel(curves, key, title, unit, x0) {
  const all = Object.values(curves).flatMap(({ points }) => points);
  const xMax = Math.max(...all.map((point) => point[key]));
  const [low, high] = [Math.min(...all.map(({ loss }) => loss)), Math.max(...all.map(({ loss }) => loss))];
  const x = (value) => x0 + (PANEL.width * value) / xMax;
  const y = (loss) => PANEL.top + PANEL.height * (1 - (loss - low) / (high - low));
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const grid = ticks.map((share) => {
    const loss = low + share * (high - low);
    return (
      `<line class="grid" x1="${x0}" x2="${x0 + PANEL.width}" y1="${y(loss).toFixed(1)}" y2="${y(loss).toFixed(1)}"/>` +
      `<text x="${x0 - 6}" y="${(y(loss) + 4).toFixed(1)}" text-anchor="end">${loss.toFixed(1)}</text>` +
      `<text x="${x(share * xMax).toFixed(1)}" y="${PANEL.top + PANEL.height + 18}" text-anchor="middle">${unit(share * xMax)}</text>`
    );
  });
  const lines = Object.entries(curves).map(([name, { points }]) => {
    const d = points
      .map((point, i) => `${i ? 'L' : 'M'}${x(point[key]).toFixed(1)} ${y(point.loss).toFixed(1)}`)
      .join('');
    return `<path class="${name}" d="${d}"/>`;
  });
  return `<text class="title" x="${x0}" y="18">${title}</text>${grid.join('')}${lines.join('')}`;
}

function draw() {
  const { curves, machine, backend } = JSON.parse(readFileSync(RESULT, 'utf8'));
  const width = 2 * (PANEL.width + PANEL.left) + PANEL.gap - 30;
  const height = PANEL.top + PANEL.height + 66;
  const second = PANEL.left + PANEL.width + PANEL.gap;
  const legendY = height - 14;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="Training loss of the dense and the sparse model by tokens and by seconds">
<style>
text { font: 12px system-ui, sans-serif; fill: #444 } .title { font-weight: 600; font-size: 14px; fill: #222 }
.grid { stroke: #ddd } path { fill: none; stroke-width: 2 } .dense { stroke: #2d6cdf } .sparse { stroke: #d9480f }
@media (prefers-color-scheme: dark) { text { fill: #bbb } .title { fill: #eee } .grid { stroke: #444 } .dense { stroke: #74a5ff } .sparse { stroke: #ff8a50 } }
</style>
${panel(curves, 'tokens', 'Training loss (nats) by tokens', (value) => `${Math.round(value / 1000)} k`, PANEL.left)}
${panel(curves, 'seconds', 'The same by seconds of training', (value) => `${Math.round(value)} s`, second)}
<path class="dense" d="M${PANEL.left} ${legendY - 4}h24"/><text x="${PANEL.left + 30}" y="${legendY}">dense</text>
<path class="sparse" d="M${PANEL.left + 90} ${legendY - 4}h24"/><text x="${PANEL.left + 120}" y="${legendY}">60 % zeros</text>
<text x="${width - 10}" y="${legendY}" text-anchor="end">${machine.split(',').slice(0, 2).join(',')}; ${backend}</text>
</svg>
`;
  writeFileSync(FIGURE, svg);
}

const [directory] = process.argv.slice(2);
if (directory) collect(directory);
draw();
console.log(`wrote ${path.relative(root, FIGURE)}`);
