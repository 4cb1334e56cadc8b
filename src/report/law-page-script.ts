/**
 * The script of the law's page: three charts that follow the sliders, and the numbers in words.
 *
 * Plain JavaScript in a string, because it runs in the reader's browser from one file. LAW_IN_PAGE holds the law alone, so that a test can
 * hold it against src/scaling; the rest draws. Charts are SVG made of lines, their colours come from the style sheet, so light and dark need
 * no redrawing. All text is set with textContent.
 */

/** lossAt(law, N, S) and bestSparsity(law) of a PageLaw. */
export const LAW_IN_PAGE = `
  function scaleOf(law, sparsity) {
    return law.B + law.C * Math.exp(law.beta / (1 - sparsity));
  }

  function lossAt(law, size, sparsity) {
    return law.E + scaleOf(law, sparsity) / (size / law.sizeUnit) ** law.alpha;
  }

  // The minimum of A(S) (1 - S)^alpha: its derivative changes sign once.
  function bestSparsity(law) {
    const slope = (u) => {
      const above = law.C * Math.exp(law.beta * u);
      return law.beta * u * above - law.alpha * (law.B + above);
    };
    let [low, high] = [1, 20];
    if (slope(low) >= 0) return 0;
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2;
      if (slope(middle) < 0) low = middle;
      else high = middle;
    }
    return 1 - 1 / low;
  }
`;

export const LAW_PAGE_SCRIPT = `
'use strict';
(() => {
  const laws = JSON.parse(document.getElementById('law-data').textContent);
  const SVG = 'http://www.w3.org/2000/svg';
  const VIEW = { width: 480, height: 300, left: 58, right: 14, top: 12, bottom: 40 };
  const MOST_SPARSITY = 0.9;
  const STEPS = 90;
${LAW_IN_PAGE}
  const element = (id) => document.getElementById(id);
  const inputs = { law: element('law'), size: element('size'), sparsity: element('sparsity') };
  const percent = (share) => (100 * share).toFixed(1) + ' %';

  function count(value) {
    for (const [unit, factor] of [['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]]) {
      if (value >= 0.9995 * factor) return Number((value / factor).toPrecision(3)) + ' ' + unit;
    }
    return String(Math.round(value));
  }

  // The slider runs through the logarithm, a decade beyond the runs on either side.
  function sizeOf(law) {
    const [low, high] = [Math.log10(law.sizes[0]) - 1, Math.log10(law.sizes[1]) + 1];
    return 10 ** (low + (Number(inputs.size.value) / 1000) * (high - low));
  }

  function make(parent, name, attributes, text) {
    const child = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, value);
    if (text !== undefined) child.textContent = text;
    parent.append(child);
    return child;
  }

  function roundTicks(low, high, wanted) {
    const rough = (high - low) / wanted;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
    const ticks = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) ticks.push(value);
    return ticks;
  }

  // chart: { x: {low, high, ticks, text, title}, curves: [{style, points}], marks: [{style, x, y}], line }
  function draw(id, chart) {
    const svg = element(id);
    svg.replaceChildren();
    const values = chart.curves.flatMap((curve) => curve.points.map((point) => point[1]));
    const spread = Math.max(...values) - Math.min(...values) || 1;
    const [low, high] = [Math.min(...values) - 0.05 * spread, Math.max(...values) + 0.05 * spread];
    const width = VIEW.width - VIEW.left - VIEW.right;
    const height = VIEW.height - VIEW.top - VIEW.bottom;
    const xOf = (x) => (VIEW.left + (width * (x - chart.x.low)) / (chart.x.high - chart.x.low)).toFixed(1);
    const yOf = (y) => (VIEW.top + (height * (high - y)) / (high - low)).toFixed(1);
    const ticks = roundTicks(low, high, 5);
    const decimals = Math.max(0, Math.ceil(-Math.log10(ticks[1] - ticks[0]) - 1e-9));
    for (const tick of ticks) {
      make(svg, 'line', { class: 'grid', x1: VIEW.left, x2: VIEW.left + width, y1: yOf(tick), y2: yOf(tick) });
      make(svg, 'text', { x: VIEW.left - 7, y: Number(yOf(tick)) + 4, 'text-anchor': 'end' }, tick.toFixed(decimals));
    }
    for (const tick of chart.x.ticks) {
      const attributes = { x: xOf(tick), y: VIEW.height - 21, 'text-anchor': 'middle' };
      make(svg, 'text', attributes, chart.x.text(tick));
    }
    make(svg, 'text', { x: VIEW.left + width / 2, y: VIEW.height - 4, 'text-anchor': 'middle' }, chart.x.title);
    if (chart.line !== undefined) {
      make(svg, 'line', { class: 'optimum', x1: xOf(chart.line), x2: xOf(chart.line), y1: VIEW.top, y2: VIEW.top + height });
    }
    for (const { style, points } of chart.curves) {
      const d = points.map(([x, y], i) => (i ? 'L' : 'M') + xOf(x) + ' ' + yOf(y)).join('');
      make(svg, 'path', { class: style, d });
    }
    for (const { style, x, y } of chart.marks) make(svg, 'circle', { class: style, cx: xOf(x), cy: yOf(y), r: 6 });
  }

  function steps(low, high) {
    return Array.from({ length: STEPS + 1 }, (_, i) => low + ((high - low) * i) / STEPS);
  }

  const sparsityAxis = {
    ...{ low: 0, high: MOST_SPARSITY, ticks: [0, 0.2, 0.4, 0.6, 0.8], title: 'sparsity S' },
    text: (value) => Math.round(100 * value) + ' %',
  };

  function update() {
    const law = laws[Number(inputs.law.value)];
    const size = sizeOf(law);
    const sparsity = Number(inputs.sparsity.value) / 1000;
    const activated = size * (1 - sparsity);
    const best = bestSparsity(law);
    const loss = lossAt(law, size, sparsity);
    const dense = lossAt(law, activated, 0);
    element('size-value').textContent = count(size);
    element('sparsity-value').textContent = percent(sparsity);
    inputs.size.setAttribute('aria-valuetext', count(size) + ' parameters');
    inputs.sparsity.setAttribute('aria-valuetext', percent(sparsity) + ' zeros');
    const atEqual = (share) => lossAt(law, activated / (1 - share), share);
    const saved = ((loss - law.E) / (dense - law.E)) ** (-1 / law.alpha);
    const words = {
      'of-loss': loss.toFixed(4) + ' ' + law.lossUnit,
      'of-activated': count(activated),
      'of-dense-size': lossAt(law, size, 0).toFixed(4),
      'of-dense-activated': dense.toFixed(4),
      'of-optimum':
        best > MOST_SPARSITY
          ? 'above ' + percent(MOST_SPARSITY)
          : percent(best) + ', loss ' + atEqual(best).toFixed(4) + ', N ' + count(activated / (1 - best)),
      'of-saved': saved.toFixed(2) + ' times',
    };
    for (const [id, text] of Object.entries(words)) element(id).textContent = text;
    const outside = size < law.sizes[0] / 1.001 || size > law.sizes[1] * 1.001;
    element('outside').textContent = outside
      ? 'Outside of the sizes that the law was fitted to (' + law.sizes.map(count).join(' to ') + ').'
      : '';
    drawAll(law, { size, sparsity, activated, best, loss, atEqual });
  }

  function drawAll(law, { size, sparsity, activated, best, loss, atEqual }) {
    const shares = steps(0, MOST_SPARSITY);
    draw('chart-sparsity', {
      x: sparsityAxis,
      curves: [{ style: 'sparse', points: shares.map((share) => [share, lossAt(law, size, share)]) }],
      marks: [{ style: 'sparse', x: sparsity, y: loss }],
    });
    const [low, high] = [Math.log10(law.sizes[0]) - 1, Math.log10(law.sizes[1]) + 1];
    const logs = steps(low, high);
    const curve = (share) => logs.map((log) => [log, lossAt(law, 10 ** log, share)]);
    const decades = logs.length > 0 ? roundTicks(Math.ceil(low), Math.floor(high), 4) : [];
    draw('chart-size', {
      x: { low, high, ticks: decades, text: (log) => count(10 ** log), title: 'parameters N' },
      curves: [{ style: 'dense', points: curve(0) }, { style: 'sparse', points: curve(sparsity) }],
      marks: [{ style: 'sparse', x: Math.log10(size), y: loss }],
    });
    draw('chart-activated', {
      x: sparsityAxis,
      curves: [{ style: 'sparse', points: shares.map((share) => [share, atEqual(share)]) }],
      marks: [{ style: 'sparse', x: sparsity, y: loss }],
      ...(best <= MOST_SPARSITY && { line: best }),
    });
  }

  // A chosen law keeps the place of the slider, so another law is seen at its own sizes.
  for (const input of Object.values(inputs)) input.addEventListener('input', update);
  update();
})();
`;
