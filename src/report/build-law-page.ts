/**
 * buildLawPage: the scaling law as one HTML file that needs no network: sliders for size and sparsity, a choice of laws, curves that follow.
 *
 * The page is put together here; what moves is in law-page-script.ts.
 */

import { escapeHtml, jsonForScript } from './escape.ts';
import { LAW_PAGE_SCRIPT } from './law-page-script.ts';
import { pageShell } from './page-shell.ts';

/** L(N, S) = E + (B + C exp(beta / (1 - S))) / (N / sizeUnit)^alpha. */
export interface PageLaw {
  /** For the choice of laws. */
  readonly name: string;
  readonly E: number;
  readonly B: number;
  readonly C: number;
  readonly alpha: number;
  readonly beta: number;
  readonly sizeUnit: number;
  /** Parameters of the smallest and the largest model that it was fitted to. */
  readonly sizes: readonly [number, number];
  /** Of the loss, in words; may be empty. */
  readonly lossUnit: string;
}

const LAW_STYLE = `
.controls { display: grid; margin-top: 16px; grid-template-columns: max-content 1fr max-content; gap: 10px 14px; align-items: center; }
.controls input, .controls select { width: 100%; min-width: 0; }
.controls select { grid-column: 2 / -1; font: inherit; padding: 5px 8px; border-radius: 6px; border: 1px solid var(--line);
  background: var(--page); color: var(--text); }
.controls output { font-variant-numeric: tabular-nums; min-width: 5.5em; text-align: right; }
.controls input:focus-visible, .controls select:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; }
.words { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 10px 24px; margin: 0; }
.words dt { color: var(--dim); font-size: 13px; }
.words dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); gap: 16px; }
.curves figure { margin: 0; min-width: 0; }
.curves svg { display: block; width: 100%; height: auto; }
.curves text { fill: var(--dim); font: 14px system-ui, sans-serif; }
.curves path { fill: none; stroke-width: 2.5; }
.curves .grid { stroke: var(--line); }
.curves .optimum { stroke: var(--c2); stroke-width: 2; stroke-dasharray: 6 4; }
path.dense { stroke: var(--c0); stroke-dasharray: 7 4; } path.sparse { stroke: var(--c1); } circle.sparse { fill: var(--c1); }
#outside { color: var(--heat); min-height: 1.5em; }
`;

/** Title and caption of each chart; the caption is its label for readers who cannot see it. */
const CHARTS = [
  ['chart-sparsity', 'More zeros', 'Loss over sparsity at this size. The dot is where the sliders stand.'],
  ['chart-size', 'More parameters', 'Loss over size at this sparsity (solid) and dense (dashed).'],
  [
    'chart-activated',
    'The same price',
    'Loss over sparsity with as many activated parameters as now: more zeros, a larger model. The dashed line is the optimum.',
  ],
] as const;

const WORDS = [
  ['of-loss', 'loss'],
  ['of-activated', 'activated parameters N (1 - S)'],
  ['of-dense-size', 'loss of a dense model of this size'],
  ['of-dense-activated', 'loss of a dense model with as many activated'],
  ['of-saved', 'as many activated parameters has a dense model of this loss'],
  ['of-optimum', 'best sparsity for this price'],
] as const;

/** The page of several laws; the first is shown at the beginning. */
export function buildLawPage(laws: readonly PageLaw[], title = 'The scaling law of sparse models'): string {
  const body = `<h1>${escapeHtml(title)}</h1>
<p>L(N, S) = E + (B + C exp(&beta; / (1 - S))) / N<sup>&alpha;</sup>: the loss of a model of N parameters that sets the share S of
the inputs of its projections to zero, trained on a fixed number of tokens. A token reads and multiplies N (1 - S) of them.</p>
${lawPart(laws)}
<footer>Made by qsparse. The law is that of Q-Sparse, arXiv 2407.10969.</footer>`;
  return pageShell({ title, body, styleAfter: LAW_STYLE });
}

/** Controls, numbers and charts with their script, for a page that has PAGE_STYLE and LAW_STYLE. */
function lawPart(laws: readonly PageLaw[]): string {
  const choices = laws.map(({ name }, i) => `<option value="${i}">${escapeHtml(name)}</option>`).join('');
  const words = WORDS.map(([id, text]) => `<div><dt>${text}</dt><dd id="${id}"></dd></div>`).join('\n');
  const charts = CHARTS.map(
    ([
      id,
      heading,
      caption,
    ]) => `<figure class="card"><figcaption id="${id}-text"><h3>${heading}</h3><p>${caption}</p></figcaption>
<svg id="${id}" viewBox="0 0 480 300" role="img" aria-labelledby="${id}-text"></svg></figure>`,
  ).join('\n');
  const range = 'type="range" min="0" max="1000" step="1" autocomplete="off"';
  return `<div class="card controls">
<label for="law">constants</label><select id="law" autocomplete="off">${choices}</select>
<label for="size">parameters N</label><input id="size" ${range} value="500"><output id="size-value" for="size"></output>
<label for="sparsity">sparsity S</label><input id="sparsity" ${range.replace('1000', '900')} value="400"><output id="sparsity-value" for="sparsity"></output>
</div>
<noscript><p>The curves need JavaScript, which is in this file and asks no network.</p></noscript>
<dl class="card words">${words}</dl>
<p id="outside" role="status"></p>
<div class="curves">${charts}</div>
<script type="application/json" id="law-data">${jsonForScript(laws)}</script>
<script>${LAW_PAGE_SCRIPT}</script>`;
}
