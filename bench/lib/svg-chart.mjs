/**
 * Line charts as SVG text: panels side by side, a legend, a footer. Colours follow the reader's light or dark scheme.
 *
 * A chart is data: `{ label, panels: [{ title, series, x, y }], legend, footer }`; a series is `{ style, points: [[x, y], ...] }`, an axis
 * `{ min, max, ticks: [[value, text], ...] }`. Styles are the names in STYLES; `level` is for lines to compare with.
 */

const PANEL = { width: 380, height: 250, left: 50, top: 34, gap: 70 };
const LEGEND_ENTRY = { line: 24, gap: 6, character: 6.6, after: 22 };

const STYLES = {
  dense: ['#2d6cdf', '#74a5ff'],
  sparse: ['#d9480f', '#ff8a50'],
  third: ['#2b8a3e', '#69db7c'],
  fourth: ['#862e9c', '#da77f2'],
  level: ['#888', '#999'],
};

/** The styles that a chart gives to its series one after the other. */
export const SERIES_STYLES = ['sparse', 'dense', 'third', 'fourth'];

/** About `count` round values that span min .. max, with their texts (as many decimals as tell them apart); `{ min, max, ticks }`. */
export function axis(min, max, { count = 5, format } = {}) {
  const rough = (max - min || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.floor(min / step + 1e-9);
  const last = Math.ceil(max / step - 1e-9);
  const values = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const textOf = format ?? ((value) => value.toFixed(decimals));
  return { min: values[0], max: values.at(-1), ticks: values.map((value) => [value, textOf(value)]) };
}

/** One place for each of `names`, the first at 0, with room at both ends. */
export function categories(names) {
  return { min: -0.3, max: names.length - 0.7, ticks: names.map((name, i) => [i, name]) };
}

/** Powers of two that span min .. max; `at(value)` is the place of a value on it. */
export function logAxis(min, max) {
  const [first, last] = [Math.floor(Math.log2(min)), Math.ceil(Math.log2(max))];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return { min: first, max: last, ticks: powers.map((power) => [power, String(2 ** power)]), at: Math.log2 };
}

/** Speed-ups, with 1, where dense is, among them. */
export function speedupAxis(values) {
  return axis(Math.min(1, ...values), Math.max(1, ...values));
}

/** A line across an axis to compare with. */
export function levelAt(value, { min, max }) {
  return {
    style: 'level',
    points: [
      [min, value],
      [max, value],
    ],
  };
}

/** A text for XML, in content or in attributes. */
function escapeXml(text) {
  return String(text).replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char]);
}

function panelText({ title, series, x, y }, left) {
  const right = left + PANEL.width;
  const bottom = PANEL.top + PANEL.height;
  const xOf = (value) => (left + (PANEL.width * (value - x.min)) / (x.max - x.min)).toFixed(1);
  const yOf = (value) => (bottom - (PANEL.height * (value - y.min)) / (y.max - y.min)).toFixed(1);
  const rows = y.ticks.map(
    ([value, text]) =>
      `<line class="grid" x1="${left}" x2="${right}" y1="${yOf(value)}" y2="${yOf(value)}"/>` +
      `<text x="${left - 6}" y="${(Number(yOf(value)) + 4).toFixed(1)}" text-anchor="end">${escapeXml(text)}</text>`,
  );
  const columns = x.ticks.map(
    ([value, text]) => `<text x="${xOf(value)}" y="${bottom + 18}" text-anchor="middle">${escapeXml(text)}</text>`,
  );
  const lines = series.map(({ style, points, marks }) => {
    const d = points.map(([px, py], i) => `${i ? 'L' : 'M'}${xOf(px)} ${yOf(py)}`).join('');
    const dots = marks
      ? points.map(([px, py]) => `<circle class="${style}" cx="${xOf(px)}" cy="${yOf(py)}" r="3.5"/>`).join('')
      : '';
    return `<path class="${style}" d="${d}"/>${dots}`;
  });
  return `<text class="title" x="${left}" y="18">${escapeXml(title)}</text>${[...rows, ...columns, ...lines].join('')}`;
}

function legendText(legend, y) {
  let x = PANEL.left;
  return legend
    .map(({ style, text }) => {
      const { line, gap, character, after } = LEGEND_ENTRY;
      const entry = `<path class="${style}" d="M${x} ${y - 4}h${line}"/><text x="${x + line + gap}" y="${y}">${escapeXml(text)}</text>`;
      x += Math.round(line + gap + text.length * character + after);
      return entry;
    })
    .join('\n');
}

function styleText() {
  const rules = (scheme) =>
    Object.entries(STYLES)
      .map(
        ([name, colours]) => `path.${name} { stroke: ${colours[scheme]} } circle.${name} { fill: ${colours[scheme]} }`,
      )
      .join(' ');
  return `text { font: 12px system-ui, sans-serif; fill: #444 } .title { font-weight: 600; font-size: 14px; fill: #222 }
.grid { stroke: #ddd } path { fill: none; stroke-width: 2 } path.level { stroke-dasharray: 5 4 }
${rules(0)}
@media (prefers-color-scheme: dark) { text { fill: #bbb } .title { fill: #eee } .grid { stroke: #444 } ${rules(1)} }`;
}

/** The whole figure. `label` says in words what it shows, for readers who cannot see it. */
export function chart({ label, panels, legend, footer = '' }) {
  const step = PANEL.width + PANEL.gap;
  const width = PANEL.left + panels.length * step - PANEL.gap + 20;
  const bottom = PANEL.top + PANEL.height;
  const legendY = bottom + 48;
  const height = legendY + (footer ? 26 : 12);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(label)}">
<style>
${styleText()}
</style>
${panels.map((panel, i) => panelText(panel, PANEL.left + i * step)).join('\n')}
${legendText(legend, legendY)}
${footer ? `<text x="${PANEL.left}" y="${legendY + 20}">${escapeXml(footer)}</text>\n` : ''}</svg>
`;
}
