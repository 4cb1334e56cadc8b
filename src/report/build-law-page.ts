/**
 * buildLawPage: the scaling law as one HTML file that needs no network: sliders for size and sparsity, a choice of laws, curves that follow.
 *
 * The page is put together here; what moves is in web/law.
 */

import { escapeHtml } from './escape.ts';
import { readPageAssets } from './page-assets.ts';
import type { PageLaw } from './page-data.ts';
import { pageShell } from './page-shell.ts';

const SLIDER = 'type="range" min="0" step="1" autocomplete="off"';

/** The page of several laws; the first is shown at the beginning. */
export function buildLawPage(laws: readonly PageLaw[], title = 'The scaling law of sparse models'): string {
  const body = `<noscript><p class="message">The curves need JavaScript, which is in this file and asks no network.</p></noscript>
<section class="stack intro">
<h1>${escapeHtml(title)}</h1>
<p><span class="formula">L(N, S) = E + (B + C exp(&beta; / (1 &minus; S))) / N<sup>&alpha;</sup></span></p>
<p class="dim">The loss of a model of N parameters that sets the share S of the inputs of its projections to zero, trained on a fixed number of tokens.
A token reads and multiplies N (1 &minus; S) of them.</p>
</section>
<form class="card controls" id="controls">
<label for="law">Constants</label><select id="law" autocomplete="off"></select>
<label for="size">Parameters N</label><output id="size-value" for="size" class="number"></output><input id="size" ${SLIDER} max="1000" value="500">
<label for="sparsity">Sparsity S</label><output id="sparsity-value" for="sparsity" class="number"></output><input id="sparsity" ${SLIDER} max="900" value="400">
</form>
<dl class="card words" id="words"></dl>
<p id="outside" class="message" role="status" hidden></p>
<div class="curves" id="curves"></div>`;
  const footer = 'Made by qsparse. The law is that of Q-Sparse, arXiv 2407.10969, equations 15 and 16.';
  return pageShell({ title, body, footer, data: { 'law-data': laws }, assets: readPageAssets('law') });
}
