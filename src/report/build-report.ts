/**
 * buildReport: the metrics of runs as one HTML file that needs no network.
 *
 * The page is put together here from top to bottom; what it draws is decided in charts.ts and heat-map.ts, how in
 * page-script.ts and page-style.ts. Everything that comes from a run is escaped.
 */

import { buildAxes, buildCharts, type Chart } from './charts.ts';
import { escapeHtml, jsonForScript } from './escape.ts';
import { buildHeatMaps, type HeatMap } from './heat-map.ts';
import { PAGE_SCRIPT } from './page-script.ts';
import { pageShell } from './page-shell.ts';
import type { ReportRun } from './parse-metrics.ts';
import { configurationSection, extraTable, type ReportTable, samplesSection } from './sections.ts';
import { sortRecords, summarise } from './summary.ts';
import { overviewSection, partsSection } from './summary-section.ts';
import { readUplotAssets } from './uplot-assets.ts';

export interface ReportOptions {
  /** Heading and title of the page; the names of the runs where left out. */
  title?: string;
  /** Paragraphs in plain text under the heading. */
  notes?: readonly string[];
  /** Tables of the caller, after the summary. */
  tables?: readonly ReportTable[];
}

/** The page of one or several runs, drawn over each other in one colour each. Runs without records stay empty. */
export function buildReport(runs: readonly ReportRun[], options: ReportOptions = {}): string {
  const sorted = runs.map((run) => ({ name: run.name, records: sortRecords(run.records) }));
  const summaries = runs.map((run, r) => summarise(run, sorted[r].records));
  const title = options.title ?? `Training of ${runs.map((run) => run.name).join(', ')}`;
  const charts = buildCharts(sorted);
  const heatMaps = buildHeatMaps(sorted);
  const body = [
    `<h1>${escapeHtml(title)}</h1>`,
    ...(options.notes ?? []).map((note) => `<p>${escapeHtml(note)}</p>`),
    overviewSection(summaries),
    ...(options.tables ?? []).map(extraTable),
    chartsSection(charts),
    heatSection(heatMaps),
    partsSection(summaries),
    samplesSection(sorted),
    configurationSection(summaries),
    '<footer>Made by qsparse; charts by uPlot. Drag over a chart to zoom, double-click to see all of it again.</footer>',
  ];
  return page(title, body.join('\n'), {
    axes: buildAxes(sorted),
    charts: charts.map(({ description, ...rest }) => rest),
    heatMaps,
  });
}

function page(title: string, body: string, data: object): string {
  const uplot = readUplotAssets();
  const scripts = [
    `<script type="application/json" id="report-data">${jsonForScript(data)}</script>`,
    `<script>${uplot.script}</script>`,
    `<script>${PAGE_SCRIPT}</script>`,
  ];
  return pageShell({ title, body, styleBefore: uplot.style, scripts });
}

function chartsSection(charts: readonly Chart[]): string {
  if (charts.length === 0) return '<p class="dim">No steps have been recorded yet.</p>';
  const figures = charts.map(({ title, unit, description, large }, i) => {
    const heading = `<h3>${escapeHtml(title)} <span class="dim">${escapeHtml(unit)}</span></h3>`;
    const caption = `<figcaption id="caption-${i}">${heading}<p>${escapeHtml(description)}</p></figcaption>`;
    const box = `<div id="chart-${i}" role="img" aria-labelledby="caption-${i}"></div>`;
    return `<figure class="card${large ? ' large' : ''}">${caption}${box}</figure>`;
  });
  return `<h2>Curves</h2>
<fieldset><legend>Over</legend>
<label><input type="radio" name="x-axis" value="tokens" checked autocomplete="off"> tokens</label>
<label><input type="radio" name="x-axis" value="seconds" autocomplete="off"> seconds of training</label>
<label><input type="radio" name="x-axis" value="step" autocomplete="off"> steps</label>
<label><input type="checkbox" id="skip-start" autocomplete="off"> without the first tenth</label>
</fieldset>
<noscript><p>The curves need JavaScript, which is in this file and asks no network.</p></noscript>
<div class="charts">${figures.join('\n')}</div>`;
}

function heatSection(heatMaps: readonly HeatMap[]): string {
  if (heatMaps.length === 0) return '';
  const cards = heatMaps.map(({ run, steps }, i) => {
    const last = steps.length - 1;
    const slider = `<input type="range" id="heat-step-${i}" min="0" max="${last}" value="${last}" autocomplete="off">`;
    const label = `<label for="heat-step-${i}">${escapeHtml(run)}</label>`;
    return `<div class="card"><div class="slider">${label}${slider}<output id="heat-at-${i}" class="dim"></output></div>
<div class="scroll"><table class="heat" id="heat-${i}"></table></div></div>`;
  });
  return `<h2>Inside the layers</h2>
<p class="dim">Inputs of the projections by layer: zeros in them, the share of their squares that the selection kept, the
gradient of each projection, the hidden channels that stayed closed, and in a mixture how often each expert was chosen. The slider goes through the run.</p>
${cards.join('\n')}`;
}
