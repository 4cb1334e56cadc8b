/**
 * buildReport: the metrics of runs as one HTML file that needs no network.
 *
 * The page is put together here from top to bottom; what it draws is decided in charts.ts and heat-map.ts, how in
 * web/report. Everything that comes from a run is escaped.
 */

import { buildAxes, buildCharts, type Chart } from './charts.ts';
import { escapeHtml } from './escape.ts';
import { buildHeatMaps, type HeatMap } from './heat-map.ts';
import { readPageAssets } from './page-assets.ts';
import type { ReportData } from './page-data.ts';
import { pageShell } from './page-shell.ts';
import type { ReportRun } from './parse-metrics.ts';
import { configurationSection, extraTable, type ReportTable, samplesSection } from './sections.ts';
import { sortRecords, summarise } from './summary.ts';
import { overviewSection, partsSection } from './summary-section.ts';

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
  ];
  const data: ReportData = { axes: buildAxes(sorted), charts, heatMaps };
  return pageShell({
    ...{ title, body: body.join('\n'), data: { 'report-data': data }, assets: readPageAssets('report') },
    footer: 'Made by qsparse; charts by uPlot. Drag over a chart to zoom, double-click to see all of it again.',
  });
}

function chartsSection(charts: readonly Chart[]): string {
  if (charts.length === 0) return '<p class="dim">No steps have been recorded yet.</p>';
  return `<h2>Curves</h2>
<noscript><p class="message">The curves need JavaScript, which is in this file and asks no network.</p></noscript>
<form class="row controls" id="controls" aria-label="Axes">
<fieldset class="segmented" aria-label="Horizontal axis">
<label><input type="radio" name="x" value="tokens" checked autocomplete="off">Tokens</label>
<label><input type="radio" name="x" value="seconds" autocomplete="off">Seconds</label>
<label><input type="radio" name="x" value="step" autocomplete="off">Steps</label>
</fieldset>
<label><input type="checkbox" name="skip-start" autocomplete="off">Without the first tenth</label>
</form>
<div class="charts" id="charts"></div>`;
}

function heatSection(heatMaps: readonly HeatMap[]): string {
  if (heatMaps.length === 0) return '';
  const cards = heatMaps.map(({ run, steps }, i) => {
    const last = steps.length - 1;
    const slider = `<input type="range" id="heat-step-${i}" min="0" max="${last}" value="${last}" autocomplete="off">`;
    const label = `<label for="heat-step-${i}">${escapeHtml(run)}</label>`;
    return `<div class="card"><div class="slider">${label}${slider}<output id="heat-at-${i}" class="dim"></output></div>
<div class="scroll" tabindex="0"><table class="heat" id="heat-${i}"></table></div></div>`;
  });
  return `<h2>Inside the layers</h2>
<p class="dim">Inputs of the projections by layer: zeros in them, the share of their squares that the selection kept, the
gradient of each projection, the hidden channels that stayed closed, and in a mixture how often each expert was chosen. The slider goes through the run.</p>
${cards.join('\n')}`;
}
