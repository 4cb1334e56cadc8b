/** The figures of docs/training-speed.md: results in, `{ file name: SVG }` out, for the parts that are measured. */

import { axis, categories, chart, levelAt, SERIES_STYLES, speedupAxis } from './svg-chart.mjs';
import { bySize, isNatural, isTopK, l1Runs, pairsOf, precisionsOf } from './training-speed-rows.mjs';

export function figuresOf(results) {
  const parts = {
    sparsity: sparsityFigure,
    batch: batchFigure,
    size: sizeFigure,
    l1: l1Figure,
    bf16: bf16Figure,
    'wall-clock': wallClockFigure,
  };
  return Object.fromEntries(
    Object.entries(parts)
      .filter(([name]) => results[name]?.cases?.length > 0)
      .map(([name, draw]) => [`training-${name}.svg`, draw(results[name].cases)]),
  );
}

const percent = (share) => `${Math.round(100 * share)} %`;

function sparsityFigure(cases) {
  const rows = cases.flatMap((one) => one.rows);
  const topK = rows.filter(isTopK);
  const x = axis(0, Math.max(...topK.map(({ sparsity }) => sparsity)), { format: percent });
  const y = speedupAxis([...topK, ...rows.filter(isNatural)].map((row) => row.speedupOverDense));
  const series = precisionsOf(rows).map((precision, i) => ({
    style: SERIES_STYLES[i],
    marks: true,
    text: `${precision}; at 0 natural zeros alone`,
    points: rows
      .filter((row) => row.precision === precision && (isTopK(row) || isNatural(row)))
      .sort((a, b) => a.sparsity - b.sparsity)
      .map((row) => [row.sparsity, row.speedupOverDense]),
  }));
  return chart({
    label: 'Speed-up of a training step over its dense twin, by sparsity of the three top-K points',
    panels: [{ title: 'Speed of a step, dense = 1, by sparsity', x, y, series: [levelAt(1, x), ...series] }],
    legend: [...series, { style: 'level', text: 'dense' }],
  });
}

/** Speed-ups of pairs over named places, one line a precision. */
function overCases(cases, names, title, label) {
  const pairs = pairsOf(cases);
  const x = categories(names);
  const y = speedupAxis(pairs.map(({ sparse }) => sparse.speedupOverDense));
  const series = precisionsOf(pairs).map((precision, i) => ({
    style: SERIES_STYLES[i],
    marks: true,
    text: precision,
    points: pairs
      .filter((pair) => pair.precision === precision)
      .map(({ one, sparse }) => [cases.indexOf(one), sparse.speedupOverDense]),
  }));
  return chart({
    label,
    panels: [{ title, x, y, series: [levelAt(1, x), ...series] }],
    legend: [...series, { style: 'level', text: 'dense' }],
  });
}

function batchFigure(cases) {
  const names = cases.map(({ key }) => key.replaceAll(' ', ''));
  const title = 'Speed of a step, dense = 1, by batch x length';
  return overCases(cases, names, title, 'Speed-up of a training step over its dense twin, by batch and length');
}

function sizeFigure(measured) {
  const cases = bySize(measured);
  const names = cases.map(({ shape }) => shape.dim);
  const title = 'Speed of a step, dense = 1, by dim';
  return overCases(cases, names, title, 'Speed-up of a training step over its dense twin, by width of the model');
}

function l1Figure(cases) {
  const runs = l1Runs(cases);
  const groupOf = ({ quality, precision }) => `dim ${quality.dim}, ${quality.steps} steps, ${precision}`;
  const groups = [...new Set(runs.map(groupOf))];
  const coefficients = [...new Set(runs.map(({ quality }) => quality.hiddenL1))].sort((a, b) => a - b);
  const x = categories(coefficients);
  const seriesOf = (value) =>
    groups.map((group, i) => ({
      style: SERIES_STYLES[i % SERIES_STYLES.length],
      marks: true,
      text: group,
      points: runs
        .filter((run) => groupOf(run) === group && value(run) !== null)
        .map((run) => [coefficients.indexOf(run.quality.hiddenL1), value(run)]),
    }));
  const speed = seriesOf(({ sparse }) => sparse.speedupOverDense);
  const losses = seriesOf(({ quality }) => quality.validationLoss);
  const values = losses.flatMap(({ points }) => points.map(([, loss]) => loss));
  const y = speedupAxis(runs.map(({ sparse }) => sparse.speedupOverDense));
  const panels = [{ title: 'Speed of a step, dense = 1, by hiddenL1', x, y, series: [levelAt(1, x), ...speed] }];
  if (values.length > 0) {
    const lossAxis = axis(Math.min(...values), Math.max(...values));
    panels.push({ title: 'Validation loss (nats), by hiddenL1', x, y: lossAxis, series: losses });
  }
  const label =
    'Speed-up over the dense twin and validation loss, by coefficient of the L1 term on the hidden activations';
  return chart({ label, panels, legend: [...speed, { style: 'level', text: 'dense' }] });
}

function bf16Figure(cases) {
  const millions = (point) => [point.tokens / 1e6, point.loss];
  const curves = (key, marks) =>
    cases.map(({ curve }, i) => ({ style: SERIES_STYLES[i % 4], marks, points: curve[key].map(millions) }));
  const panel = (title, key, marks) => {
    const series = curves(key, marks);
    const points = series.flatMap((one) => one.points);
    const losses = points.map(([, loss]) => loss);
    const x = axis(0, Math.max(...points.map(([tokens]) => tokens)));
    return { title, x, y: axis(Math.min(...losses), Math.max(...losses)), series };
  };
  return chart({
    label: 'Training and validation loss by millions of tokens, products in f32 and in bf16',
    panels: [
      panel('Training loss (nats), mean of 20 steps, by millions of tokens', 'points', false),
      panel('Validation loss (nats) by millions of tokens', 'validation', true),
    ],
    legend: cases.map(({ key }, i) => ({ style: SERIES_STYLES[i % 4], text: key })),
  });
}

function wallClockFigure(cases) {
  const styles = { 0: 'dense', 1: 'sparse', 2: 'third', 3: 'fourth' };
  const losses = cases.flatMap(({ curve }) => curve.validation.map(({ loss }) => loss));
  const y = axis(Math.min(...losses), Math.max(...losses));
  const panel = (title, key, divisor) => ({
    title,
    x: axis(0, Math.max(...cases.flatMap(({ curve }) => curve.validation.map((point) => point[key]))) / divisor),
    y,
    series: cases.map(({ curve }, i) => ({
      style: styles[i % 4],
      marks: true,
      points: curve.validation.map((point) => [point[key] / divisor, point.loss]),
    })),
  });
  return chart({
    label: 'Validation loss by minutes of training and by millions of tokens',
    panels: [
      panel('Validation loss (nats) by minutes of training', 'seconds', 60),
      panel('The same by millions of tokens', 'tokens', 1e6),
    ],
    legend: cases.map(({ key }, i) => ({ style: styles[i % 4], text: key })),
  });
}
