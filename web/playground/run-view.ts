/**
 * RunView: one text while it is written and after: its tokens, its speed and zeros in numbers, what each layer kept, where the time went.
 *
 * Tokens can be looked at one by one, with the pointer or, from the text, with the arrow keys.
 */

import type { TextPiece, TextSummary } from '../../src/load/text-model.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { h } from '../shared/dom.ts';
import { count, duration, percent, threeDigits } from '../shared/numbers.ts';
import { oncePerFrame } from '../shared/once-per-frame.ts';
import { KeptStrip } from './kept-strip.ts';
import { partsBar } from './parts-bar.ts';

const AT_HINT = 'Point at a token, or move through the text with the arrow keys.';

/** Of the end of a text: who reads there. */
const NEAR_PX = 24;

interface ShownToken {
  readonly piece: TextPiece;
  readonly span: HTMLElement;
}

export class RunView {
  readonly element: HTMLElement;
  /** What was written, and its ids. */
  text = '';
  readonly ids: number[] = [];
  summary: TextSummary | null = null;
  readonly #tokens: ShownToken[] = [];
  readonly #text: HTMLElement;
  readonly #state = h('span', { class: 'small dim' }, 'waiting');
  readonly #tiles = h('dl', { class: 'tiles' });
  readonly #strip = new KeptStrip();
  readonly #at = h('p', { class: 'at-text', 'aria-live': 'polite' }, AT_HINT);
  readonly #parts = h('div');
  readonly #showLiveSoon = oncePerFrame(() => this.#showLive());
  /** Over the tokens after the first: their time, and the sum and number of the shares that layers kept. */
  readonly #live = { ms: 0, kept: 0, shares: 0 };
  /** Of the text, at the last look. */
  #seenHeight = 0;
  #isOver = false;
  #begin = 0;
  #at0: number | null = null;

  constructor(title: string, prompt: string | null, config: ModelConfig) {
    this.#text = h('div', { class: 'text', tabindex: 0, role: 'group', 'aria-label': `Text, ${title}` });
    if (prompt !== null) this.#text.append(h('span', { class: 'prompt' }, prompt));
    this.#strip.reset(config.nLayers);
    this.#strip.onPoint = (token) => this.#show(token);
    const header = h('header', {}, h('h2', {}, title), this.#state);
    this.element = h(
      'article',
      { class: 'card run' },
      header,
      this.#text,
      this.#tiles,
      this.#strip.element,
      this.#at,
      this.#parts,
    );
    this.#text.addEventListener('keydown', (event) => this.#move(event));
    this.#text.addEventListener('pointerover', (event) => {
      const at = this.#tokens.findIndex(({ span }) => span === event.target);
      if (at >= 0) this.#show(at);
    });
    this.#fillTiles(null, null, null);
  }

  begin(): void {
    this.#begin = performance.now();
    this.#state.textContent = 'reading the prompt';
  }

  push(piece: TextPiece): void {
    const span = h('span', { class: 'token' }, piece.text);
    this.#text.append(span);
    this.text += piece.text;
    if (piece.id === null) return;
    this.ids.push(piece.id);
    this.#tokens.push({ piece, span });
    this.#strip.push(piece.kept);
    if (this.#tokens.length > 1) this.#live.ms += piece.ms;
    for (const share of piece.kept ?? []) this.#live.kept += share;
    this.#live.shares += piece.kept?.length ?? 0;
    this.#showLiveSoon();
  }

  /** Ended, of itself or by its reader. */
  end(summary: TextSummary): void {
    this.summary = summary;
    this.#isOver = true;
    const words = { stop: 'ended', length: 'reached its length', context: 'context is full', aborted: 'stopped' };
    const seconds = duration(performance.now() - this.#begin);
    this.#state.textContent = `${words[summary.finishReason]} · ${summary.tokens} tokens in ${seconds}`;
    const { tokensPerSecond, sparsity, activatedParameters } = summary;
    this.#fillTiles(tokensPerSecond, sparsity, activatedParameters);
    this.#strip.draw();
  }

  fail(): void {
    this.#isOver = true;
    this.#state.textContent = 'failed';
  }

  /** Of the tokens after the first; null before there are some. */
  get msPerToken(): number | null {
    const rate = this.summary?.tokensPerSecond ?? null;
    return rate === null ? null : 1000 / rate;
  }

  /** `fullMs`: of a token, as long as the bar can be. */
  showParts(fullMs: number): void {
    const { summary, msPerToken } = this;
    if (summary === null || msPerToken === null) return;
    const whole = Object.values(summary.partsMs).reduce((sum: number, ms: number) => sum + ms, 0);
    if (whole > 0) this.#parts.replaceChildren(partsBar(summary.partsMs, whole / msPerToken, fullMs));
  }

  markChanged(changed: readonly boolean[]): void {
    this.#tokens.forEach(({ span }, i) => {
      span.classList.toggle('changed', changed[i]);
    });
  }

  /** What is known while the text is written. Whoever was at its end stays there. Once a frame: to ask for heights takes a layout of the whole text. */
  #showLive(): void {
    const text = this.#text;
    if (text.scrollTop + text.clientHeight >= this.#seenHeight - NEAR_PX) text.scrollTop = text.scrollHeight;
    this.#seenHeight = text.scrollHeight;
    if (this.#isOver) return;
    this.#state.textContent = `${this.#tokens.length} tokens`;
    const { ms, kept, shares } = this.#live;
    this.#fillTiles(
      ms > 0 ? (1000 * (this.#tokens.length - 1)) / ms : null,
      shares === 0 ? null : 1 - kept / shares,
      null,
    );
  }

  #fillTiles(tokensPerSecond: number | null, sparsity: number | null, activated: number | null): void {
    const tiles: [string, string][] = [
      ['tokens/s', tokensPerSecond === null ? '–' : threeDigits(tokensPerSecond)],
      ['a token', tokensPerSecond === null ? '–' : duration(1000 / tokensPerSecond)],
      ['zeros', sparsity === null ? '–' : percent(sparsity, 1)],
      ['parameters used', activated === null ? '–' : count(activated)],
    ];
    this.#tiles.replaceChildren(...tiles.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  }

  #move(event: KeyboardEvent): void {
    const steps: Partial<Record<string, number>> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 };
    const step = steps[event.key];
    if (step === undefined || this.#tokens.length === 0) return;
    event.preventDefault();
    const from = this.#at0 ?? (step > 0 ? -1 : this.#tokens.length);
    this.#show(Math.min(this.#tokens.length - 1, Math.max(0, from + step)));
    this.#tokens[this.#at0 ?? 0].span.scrollIntoView({ block: 'nearest' });
  }

  #show(token: number | null): void {
    if (this.#at0 !== null) this.#tokens[this.#at0]?.span.classList.remove('at');
    this.#at0 = token;
    const shown = token === null ? undefined : this.#tokens[token];
    shown?.span.classList.add('at');
    this.#at.textContent = shown === undefined ? AT_HINT : describe(shown.piece, token!);
  }
}

function describe({ id, text, ms, kept }: TextPiece, index: number): string {
  const head = `Token ${index + 1}, ${JSON.stringify(text)} (id ${id}): ${duration(ms)}`;
  if (kept === null) return `${head}, ${index === 0 ? 'with the whole prompt.' : 'what was kept is not known.'}`;
  const mean = kept.reduce((sum, share) => sum + share, 0) / kept.length;
  return `${head}; kept ${percent(mean, 1)}, by layer ${kept.map((share) => percent(share)).join(', ')}.`;
}
