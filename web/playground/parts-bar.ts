/** partsBar: where the time of a token went, as a bar whose length is the time and a list with the numbers. */

import type { PartsMs } from '../../src/load/text-model.ts';
import { h } from '../shared/dom.ts';
import { duration, percent } from '../shared/numbers.ts';

const PARTS: readonly { readonly part: keyof PartsMs; readonly name: string; readonly color: string }[] = [
  { part: 'selection', name: 'selection', color: '--c1' },
  { part: 'products', name: 'products', color: '--c0' },
  { part: 'attention', name: 'attention', color: '--c3' },
  { part: 'head', name: 'head', color: '--c4' },
  { part: 'other', name: 'the rest', color: '--line-strong' },
];

/** `fullMs` is what the whole width stands for, so that two bars can be compared. */
export function partsBar(partsMs: PartsMs, tokens: number, fullMs: number): HTMLElement {
  const whole = PARTS.reduce((sum, { part }) => sum + partsMs[part], 0);
  const bar = h('div', { class: 'bar', 'aria-hidden': 'true' });
  const list = h('dl', { class: 'parts' });
  for (const { part, name, color } of PARTS) {
    const ms = partsMs[part] / tokens;
    const piece = h('i');
    piece.style.cssText = `width: ${(100 * ms) / fullMs}%; background: var(${color})`;
    bar.append(piece);
    const swatch = h('i', { 'aria-hidden': 'true' });
    swatch.style.background = `var(${color})`;
    const share = whole === 0 ? 0 : partsMs[part] / whole;
    list.append(h('div', {}, h('dt', {}, swatch, name), h('dd', {}, `${duration(ms)} · ${percent(share)}`)));
  }
  return h('figure', { class: 'figure' }, h('h3', {}, 'Time of a token by part'), bar, list);
}
