/** The figures of docs/findings.md: results in, `{ file name: SVG }` out, for what has been trained. */

import { axis, categories, chart, SERIES_STYLES } from '../../bench/lib/svg-chart.mjs';
import { scatterFigure } from '../../dist/report/scatter-figure.js';
import { lossOf } from './results.mjs';
import { DEEP, FORMATS, l1Models, PROJECTIONS, RESCALED } from './tables.mjs';

const percent = (share) => `${Math.round(100 * share)} %`;

export function figuresOf(results) {
  const figures = {
    'ablations-loss.svg': [['dense', 'topk50', 'topk60', 'topk70'], lossFigure],
    'ablations-gradient.svg': [['topk50', 'topk50-masked', 'dense'], gradientFigure],
    'ablations-drift.svg': [['relu', 'topk60'], driftFigure],
    'ablations-block.svg': [['dense', 'topk50', 'block50'], lossFigure],
    'ablations-formats.svg': [FORMATS.flat(), formatsFigure],
    'ablations-mixture.svg': [['dense', 'moe-1of8', 'moe-2of8-topk50'], lossFigure],
    'ablations-l1.svg': [l1Models().map(({ name }) => name), l1Figure],
    'ablations-rescale.svg': [
      ['dense', ...RESCALED.flatMap(({ plain, rescaled }) => [plain, rescaled])],
      rescaleFigure,
    ],
    'ablations-deep.svg': [DEEP, lossFigure],
  };
  const drawn = Object.entries(figures).filter(([, [names]]) => names.every((name) => results.has(name)));
  return Object.fromEntries(drawn.map(([file, [names, draw]]) => [file, draw(results, names)]));
}

/** Training loss by tokens, and by the seconds that as many tokens take at the speeds of speed.mjs. */
function lossFigure(results, names) {
  const series = names.map((name, i) => ({ style: SERIES_STYLES[i], text: name, points: lossCurve(results, name) }));
  const y = axisOf(series.flatMap(({ points }) => points.filter(([tokens]) => tokens > 2e5).map(([, loss]) => loss)));
  const panel = (title, scaled, format) => {
    const shown = scaled.map((one) => ({ ...one, points: one.points.filter(([, loss]) => loss <= y.max) }));
    return { title, series: shown, x: axis(0, largest(shown, 0), { format }), y };
  };
  const panels = [panel('Training loss by tokens, nats', series, (tokens) => `${(tokens / 1e6).toFixed(1)} M`)];
  if (names.every((name) => results.speedOf(name))) {
    const bySeconds = series.map((one) => {
      const { tokensPerSecond } = results.speedOf(one.text);
      return { ...one, points: one.points.map(([tokens, loss]) => [tokens / tokensPerSecond, loss]) };
    });
    panels.push(panel('The same by seconds', bySeconds, (seconds) => `${seconds} s`));
  }
  return chart({ label: `Training loss of ${names.join(', ')}`, panels, legend: series });
}

function lossCurve(results, name) {
  return results.first(name).curve.points.map(({ tokens, loss }) => [tokens, loss]);
}

/** Norms of the gradient at the end of seed 0: by projection, mean over layers, and by layer for up. */
function gradientFigure(results, names) {
  const series = names.map((name, i) => ({ style: SERIES_STYLES[i], text: name, marks: true }));
  const norms = names.map((name) => results.first(name).last.gradNorm);
  const panel = (title, x, valuesOf) => {
    const drawn = series.map((one, i) => ({
      ...one,
      points: valuesOf(norms[i]).map((value, place) => [place, value]),
    }));
    return { title, x, y: axis(0, largest(drawn, 1)), series: drawn };
  };
  const layers = norms[0].up.map((_, layer) => `layer ${layer}`);
  const panels = [
    panel('Norm of the gradient, mean over layers', categories(PROJECTIONS), (norm) =>
      PROJECTIONS.map((name) => mean(norm[name])),
    ),
    panel('Norm of the gradient of up', categories(layers), (norm) => norm.up),
  ];
  return chart({
    label: 'Norms of the gradient: straight-through estimator, masked gradient, dense',
    panels,
    legend: series,
  });
}

/** Zeros in front of each point over the training. */
function driftFigure(results, names) {
  const points = ['qkv', 'o', 'gateUp', 'down'];
  const panels = names.map((name) => {
    const { overTime } = results.first(name);
    const series = points.map((point, i) => ({
      style: SERIES_STYLES[i],
      points: overTime.map(({ step, zeros }) => [step, zeros[point]]),
    }));
    return {
      title: `${name}: zeros by step`,
      series,
      x: axis(0, overTime.at(-1).step),
      y: axis(0, 1, { format: percent }),
    };
  });
  return chart({
    label: 'Share of zeros in front of each projection over the training',
    panels,
    legend: points.map((point, i) => ({ style: SERIES_STYLES[i], text: point })),
  });
}

/** Loss over activated parameters, float and ternary, with the deviation over seeds: a line of sparse models and one of dense ones. */
function formatsFigure(results) {
  const point = (name) => ({
    x: results.over(name, ({ activated }) => activated.activatedParameters).mean / 1e6,
    y: results.loss(name).mean,
    error: results.loss(name).deviation,
    name,
  });
  const series = FORMATS.map((names) =>
    [true, false].map((sparse) =>
      names
        .filter((name) => name.includes('topk') === sparse)
        .map(point)
        .sort((a, b) => a.x - b.x),
    ),
  );
  return scatterFigure('Validation loss over activated parameters, float and ternary', [
    { title: 'Float', xTitle: 'activated parameters, millions', yTitle: 'validation loss, nats', series: series[0] },
    {
      title: '1.58 bit',
      xTitle: 'activated parameters, millions',
      yTitle: 'validation loss, nats',
      series: series[1],
    },
  ]);
}

/** Loss and zeros before down by coefficient; one line a gate, with and without top-K elsewhere. */
function l1Figure(results) {
  const models = l1Models();
  const coefficients = [...new Set(models.map(({ coefficient }) => coefficient))];
  const x = categories(coefficients.map(String));
  const lines = ['relu', 'relu2'].flatMap((gate) => [false, true].map((topK) => ({ gate, topK })));
  const seriesOf = (measured) =>
    lines.map(({ gate, topK }, i) => ({
      ...{ style: SERIES_STYLES[i], marks: true, text: `${gate}${topK ? ' and top-K 50 %' : ''}` },
      points: models
        .filter((model) => model.gate === gate && model.topK === topK)
        .map(({ coefficient, name }) => [coefficients.indexOf(coefficient), measured(results.first(name))]),
    }));
  const losses = seriesOf(lossOf);
  const zeros = seriesOf(({ overTime }) => overTime.at(-1).zeros.down);
  return chart({
    label: 'Validation loss and zeros before down by the coefficient of the L1 term',
    panels: [
      { title: 'Validation loss by hiddenL1', series: losses, x, y: axisOf(valuesOf(losses)) },
      { title: 'Zeros before down', series: zeros, x, y: axis(Math.min(...valuesOf(zeros)), 1, { format: percent }) },
    ],
    legend: losses,
  });
}

/** What top-K costs against dense, with and without the re-scale, by the point where both are. */
function rescaleFigure(results) {
  const differences = (which) => RESCALED.map((pair, place) => [place, results.difference(pair[which], 'dense').mean]);
  const series = [
    { style: SERIES_STYLES[0], marks: true, text: 'top-K of 50 %', points: differences('plain') },
    { style: SERIES_STYLES[1], marks: true, text: 'with l2 re-scale', points: differences('rescaled') },
  ];
  const x = categories(RESCALED.map(({ where }) => where));
  return chart({
    label: 'Validation loss less that of dense, by the point of top-K and re-scale',
    panels: [{ title: 'Validation loss less dense, nats', series, x, y: axisOf(valuesOf(series)) }],
    legend: series,
  });
}

const valuesOf = (series) => series.flatMap(({ points }) => points.map(([, value]) => value));
const largest = (series, axisIndex) =>
  Math.max(...series.flatMap(({ points }) => points.map((point) => point[axisIndex])));
const axisOf = (values, format) => axis(Math.min(...values), Math.max(...values), format && { format });

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
