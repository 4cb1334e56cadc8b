/** The figures of docs/conversion.md: results in, `{ file name: SVG }` out, for what has been measured. */

import { axis, chart, SERIES_STYLES } from '../../bench/lib/svg-chart.mjs';
import { scatterFigure } from '../../dist/report/scatter-figure.js';
import { isTrainingFree, STUDIES } from './plan.mjs';
import { hasCourse, REPAIRED } from './tables.mjs';

/** Over dense: one model that is beyond use would press all others together. */
const MOST_NATS = 1.2;

export function figuresOf(results) {
  const drawn = Object.keys(STUDIES).flatMap((study) => {
    const own = results.of(study);
    return [
      ...(study === 'smollm2' ? [[`conversion-${study}-quality.svg`, qualityFigure(own, STUDIES[study])]] : []),
      [`conversion-${study}-repaired.svg`, repairedFigure(own, STUDIES[study])],
    ];
  });
  return Object.fromEntries(drawn.filter(([, svg]) => svg !== null));
}

/**
 * Nats of the first text against activated parameters, and where decoding is measured against time a token: in times that of the model run dense, because
 * the two are measured in turns, and models one after the other on a machine whose speed moves.
 */
function qualityFigure(results, { title, entries }) {
  const [text] = Object.keys(results.models.dense?.perplexity?.texts ?? {});
  const isPoint = (name) => results.nats(name, text) !== null && results.activated(name) !== null;
  const measured = entries.map(({ name }) => name).filter(isPoint);
  if (measured.length < 2) return null;
  const isShown = (name) => results.nats(name, text) - results.nats('dense', text) <= MOST_NATS;
  const names = measured.filter(isShown);
  const above = measured.filter((name) => !isShown(name));
  const where = above.length > 0 ? `; further up: ${above.join(', ')}` : '';
  const isFree = (name) => isTrainingFree(entries.find((entry) => entry.name === name));
  const panel = (xTitle, xOf) => {
    const points = (some) =>
      some
        .filter((name) => xOf(name) !== undefined)
        .map((name) => ({ x: xOf(name), y: results.nats(name, text), error: null, name }));
    // Of nothing trained each is a model of its own: no line joins them.
    const series = names.filter(isFree).map((name) => points([name]));
    return {
      title: `Against ${xTitle}`,
      xTitle,
      yTitle: `nats a token, ${text}${where}`,
      series: [...series, ...names.filter((name) => !isFree(name)).map((name) => points([name]))],
    };
  };
  const panels = [
    panel('activated parameters, millions', (name) => millions(results.activated(name)?.activatedParameters)),
  ];
  if (names.some((name) => results.speed(name)))
    panels.push(
      panel('time a token in int8, of its dense self', (name) => {
        const speed = results.speed(name);
        return speed ? 1 / speed.overDense : undefined;
      }),
    );
  return scatterFigure(`Loss of what ${title} was made into, against activated parameters and time a token`, panels);
}

/** The share of the damage that is repaired, by tokens. */
function repairedFigure(results, { title }) {
  const curves = REPAIRED.map(([name, begin]) => [name, results.repaired(name, begin)]).filter(
    ([, curve]) => curve !== null && hasCourse(curve),
  );
  if (curves.length === 0) return null;
  const series = curves.map(([name, points], i) => ({ style: SERIES_STYLES[i], text: name, marks: true, points }));
  const all = series.flatMap(({ points }) => points);
  const shares = all.map(([, share]) => share);
  return chart({
    label: `Share of the damage of top-K to ${title} that training repairs, by tokens`,
    panels: [
      {
        title: 'Share of the damage that is repaired',
        series,
        x: tokenAxis(Math.max(...all.map(([tokens]) => tokens))),
        y: axis(Math.min(0, ...shares), Math.max(1, ...shares), { format: (share) => `${Math.round(100 * share)} %` }),
      },
    ],
    legend: series,
  });
}

/** Ends where training did: whole steps are a little more than the tokens that were asked for, and no tick should stand half a million behind them. */
function tokenAxis(last) {
  const asked = Number(last.toPrecision(2));
  const spanned = axis(0, asked, { format: (tokens) => `${(tokens / 1e6).toFixed(1)} M` });
  return { ...spanned, max: Math.max(spanned.max, last) };
}

const millions = (count) => (count === undefined ? undefined : count / 1e6);
