/** The smaller parts of the report: tables of the caller, samples of text, configurations. */

import type { SampleRecord } from '../train/metrics.ts';
import type { ChartRun } from './charts.ts';
import { evenSample } from './curves.ts';
import { escapeHtml } from './escape.ts';
import type { RunSummary } from './summary.ts';
import { runTitle } from './summary-section.ts';

/** A table of plain text and numbers; the first column names the row. */
export interface ReportTable {
  title: string;
  columns: readonly string[];
  rows: readonly (readonly (string | number)[])[];
  /** A line in plain text under the table. */
  note?: string;
}

/** Older samples are folded; a run of days has more than anyone reads. */
const MAX_SAMPLES = 24;

/** Columns are set to the right where every cell starts like a number. */
export function extraTable({ title, columns, rows, note }: ReportTable): string {
  const isRight = columns.map((_, c) => c > 0 && rows.every((row) => /^([-+~<>]?\d|-$|$)/.test(String(row[c] ?? ''))));
  const numberClass = (c: number): string => (isRight[c] ? ' class="number"' : '');
  const heads = columns.map((name, c) => `<th scope="col"${numberClass(c)}>${escapeHtml(name)}</th>`);
  const lines = rows.map((row) => {
    const cells = columns.map((_, c) => {
      const text = escapeHtml(String(row[c] ?? ''));
      return c === 0 ? `<th scope="row">${text}</th>` : `<td${numberClass(c)}>${text}</td>`;
    });
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<section class="card scroll" tabindex="0"><table class="plain"><caption>${escapeHtml(title)}</caption>
<thead><tr>${heads.join('')}</tr></thead><tbody>${lines.join('\n')}</tbody></table>
${note ? `<p class="dim">${escapeHtml(note)}</p>` : ''}</section>`;
}

/** The newest samples of each run side by side, the older ones folded under them. */
export function samplesSection(runs: readonly ChartRun[]): string {
  const cards = runs.flatMap(({ name, records }, r) => {
    const samples = evenSample(records.samples, MAX_SAMPLES);
    if (samples.length === 0) return [];
    const newest = samples.filter(({ step }) => step === samples.at(-1)?.step);
    const older = samples.slice(0, samples.length - newest.length).reverse();
    const folded = older.map((sample) => {
      return `<details><summary>Step ${stepText(sample)}</summary>${sampleText(sample)}</details>`;
    });
    const shown = newest.map(sampleText).join('\n');
    const title = `<h3>${runTitle(name, r)} <span class="dim">step ${stepText(newest[0])}</span></h3>`;
    return [`<article class="card">${title}${shown}<p></p>${folded.join('\n')}</article>`];
  });
  return cards.length === 0 ? '' : `<h2>Samples</h2><div class="samples">${cards.join('\n')}</div>`;
}

function stepText({ step }: SampleRecord): string {
  return step.toLocaleString('en-US');
}

function sampleText({ prompt, text }: SampleRecord): string {
  return `<blockquote><b>${escapeHtml(String(prompt))}</b>${escapeHtml(String(text))}</blockquote>`;
}

/** Everything a run was configured with, folded. */
export function configurationSection(summaries: readonly RunSummary[]): string {
  const blocks = summaries.flatMap(({ name, run }) => {
    if (run === null) return [];
    const json = JSON.stringify({ model: run.model, train: run.train }, null, 2);
    return [`<details><summary>${escapeHtml(name)}</summary><pre>${escapeHtml(json)}</pre></details>`];
  });
  return blocks.length === 0 ? '' : `<h2>Configuration</h2><div class="card">${blocks.join('\n')}</div>`;
}
