/**
 * The script of the report's page: draws the charts with uPlot and the heat maps, and switches the x axis.
 *
 * Plain JavaScript in a string, because it runs in the reader's browser from one file. It only draws: what to draw is
 * decided in charts.ts and heat-map.ts, whose types name the fields used here. All text is set with textContent.
 */

export const PAGE_SCRIPT = `
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('report-data').textContent);
  const darkMode = matchMedia('(prefers-color-scheme: dark)');
  const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 4], [4, 2, 1, 2], [1, 2]];
  const COLORS = 8;
  const MINUTE = 60;
  const HOUR = 3600;
  // Ticks of a time axis at round minutes and hours instead of powers of ten of a second.
  const TIME_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30]
    .concat([1, 2, 5, 10, 15, 20, 30].map((minutes) => minutes * MINUTE))
    .concat([1, 2, 3, 6, 12, 24, 48, 120, 240, 480, 960].map((hours) => hours * HOUR));
  let xName = 'tokens';
  let plots = [];

  const cssColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function short(value) {
    if (value === null || value === undefined) return '-';
    const size = Math.abs(value);
    for (const [unit, factor] of [['G', 1e9], ['M', 1e6], ['k', 1e4]]) {
      if (size >= factor) return trim(value / (unit === 'k' ? 1e3 : factor)) + ' ' + unit;
    }
    if (size !== 0 && size < 1e-3) return value.toExponential(1);
    return trim(value);
  }

  function trim(value) {
    return String(Number(value.toPrecision(4)));
  }

  function duration(seconds) {
    if (seconds < 2 * MINUTE) return trim(seconds) + ' s';
    if (seconds < 2 * HOUR) return trim(seconds / MINUTE) + ' min';
    return trim(seconds / HOUR) + ' h';
  }

  const formatX = (value) => (value === null ? '-' : xName === 'seconds' ? duration(value) : short(value));
  const formatY = (chart) => (value) => {
    if (value === null || value === undefined) return '-';
    return chart.percent ? trim(value * 100) + ' %' : short(value);
  };

  function toPlotSeries(chart, series) {
    const color = cssColor('--c' + (series.color % COLORS));
    const faint = series.look === 'faint';
    return {
      label: series.label,
      class: series.look,
      stroke: faint ? color + '40' : color,
      width: faint ? 1 : 2,
      dash: DASHES[series.dash % DASHES.length],
      spanGaps: true,
      points: { show: series.look === 'points' || series.values.length < 3, size: 6, fill: color },
      value: (_, value) => formatY(chart)(value),
    };
  }

  function axisStyle() {
    const stroke = cssColor('--dim');
    const line = { stroke: cssColor('--line'), width: 1 };
    return { stroke, grid: line, ticks: line, font: '12px system-ui, sans-serif' };
  }

  // A grid line at every 2 .. 9 of a decade would be a grey wall.
  function decadeTicks(_, axis, low, high) {
    const digits = high / low < 50 ? [1, 2, 5] : [1];
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      ticks.push(...digits.map((digit) => Number((digit * 10 ** power).toPrecision(1))));
    }
    return ticks.filter((tick) => tick >= low && tick <= high);
  }

  function markers(chart) {
    const isDashed = (i) => i > 0 && chart.series[i - 1].dash > 0;
    const color = (plot, i) => (i > 0 ? cssColor('--c' + (chart.series[i - 1].color % COLORS)) : 'transparent');
    return {
      width: 2,
      stroke: color,
      dash: (_, i) => (isDashed(i) ? 'dashed' : 'solid'),
      fill: (plot, i) => (isDashed(i) ? 'transparent' : color(plot, i)),
    };
  }

  function drawChart(chart, element) {
    const tables = chart.series.map((series) => [data.axes[series.run][series.axis][xName], series.values]);
    const scaleY = chart.logarithmic ? { distr: 3, log: 10 } : {};
    const timeSteps = xName === 'seconds' ? { incrs: TIME_STEPS } : {};
    const splits = chart.logarithmic ? { splits: decadeTicks } : {};
    const labels = (_, ticks) => ticks.map((tick) => (tick === null ? '' : formatY(chart)(tick)));
    const options = {
      width: element.clientWidth,
      height: chart.large ? 380 : 230,
      scales: { x: { time: false }, y: scaleY },
      series: [{ label: xName, value: (_, value) => formatX(value) }, ...chart.series.map((s) => toPlotSeries(chart, s))],
      axes: [
        { ...axisStyle(), ...timeSteps, values: (_, ticks) => ticks.map(formatX), space: 70 },
        { ...axisStyle(), ...splits, values: labels, size: 62 },
      ],
      cursor: { sync: { key: 'report' }, focus: { prox: 16 } },
      focus: { alpha: 0.35 },
      legend: { markers: markers(chart) },
    };
    return new uPlot(options, withoutStart(uPlot.join(tables)), element);
  }

  // The first steps fall so fast that the rest of the run looks flat beside them.
  function withoutStart(columns) {
    if (!document.getElementById('skip-start').checked) return columns;
    const first = columns[0].findIndex((x) => x >= columns[0].at(-1) / 10);
    return columns.map((column) => column.slice(first));
  }

  function drawCharts() {
    for (const plot of plots) plot.destroy();
    plots = data.charts.map((chart, i) => drawChart(chart, document.getElementById('chart-' + i)));
  }

  function resizeCharts() {
    for (const plot of plots) {
      const width = plot.root.parentElement.clientWidth;
      if (width !== plot.width) plot.setSize({ width, height: plot.height });
    }
  }

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function heatCell(value, scale, range) {
    const cell = element('td');
    if (value === null) return cell;
    // Losing a quarter of the energy is as bad as the colour can say.
    let strength = scale === 'kept' ? (1 - value) * 4 : value;
    if (scale === 'size') strength = value > 0 ? (Math.log(value) - range[0]) / (range[1] - range[0] || 1) : 0;
    cell.textContent = scale === 'size' ? short(Number(value.toPrecision(2))) : (value * 100).toFixed(1);
    const percent = Math.round(Math.min(1, Math.max(0, strength)) * 62);
    cell.style.backgroundColor = 'color-mix(in srgb, var(--heat) ' + percent + '%, transparent)';
    return cell;
  }

  function sizeRange(map, columns) {
    const logs = [];
    for (const record of map.values) {
      record.forEach((value, i) => {
        if (columns[i % columns.length].scale === 'size' && value > 0) logs.push(Math.log(value));
      });
    }
    return logs.reduce(([low, high], log) => [Math.min(low, log), Math.max(high, log)], [Infinity, -Infinity]);
  }

  function heatHead(map) {
    const head = element('thead');
    const titles = head.appendChild(element('tr'));
    const names = head.appendChild(element('tr'));
    titles.append(element('td'));
    names.append(element('th', 'layer'));
    for (const group of map.groups.filter((candidate) => candidate.columns.length > 0)) {
      const title = element('th', group.title, 'group');
      title.colSpan = group.columns.length;
      title.scope = 'colgroup';
      titles.append(element('td', '', 'gap'), title);
      names.append(element('td', '', 'gap'));
      for (const column of group.columns) {
        const name = element('th', column);
        name.scope = 'col';
        names.append(name);
      }
    }
    return head;
  }

  function drawHeat(map, table, at) {
    const columns = map.groups.flatMap((group) =>
      group.columns.map((name, i) => ({ scale: group.scale, isFirst: i === 0 })),
    );
    const range = sizeRange(map, columns);
    const body = element('tbody');
    for (let layer = 0; layer < map.layers; layer++) {
      const row = body.appendChild(element('tr'));
      const name = element('th', String(layer));
      name.scope = 'row';
      row.append(name);
      columns.forEach((column, i) => {
        if (column.isFirst) row.append(element('td', '', 'gap'));
        row.append(heatCell(map.values[at][layer * columns.length + i], column.scale, range));
      });
    }
    table.replaceChildren(heatHead(map), body);
  }

  function setUpHeat(map, i) {
    const slider = document.getElementById('heat-step-' + i);
    const show = () => {
      const at = Number(slider.value);
      document.getElementById('heat-at-' + i).textContent = 'step ' + map.steps[at].toLocaleString('en-US');
      drawHeat(map, document.getElementById('heat-' + i), at);
    };
    slider.addEventListener('input', show);
    show();
  }

  for (const radio of document.querySelectorAll('input[name=x-axis]')) {
    radio.addEventListener('change', () => {
      xName = radio.value;
      drawCharts();
    });
  }
  document.getElementById('skip-start')?.addEventListener('change', drawCharts);
  darkMode.addEventListener('change', drawCharts);
  new ResizeObserver(resizeCharts).observe(document.querySelector('main'));
  data.heatMaps.forEach(setUpHeat);
  drawCharts();
})();
`;
