/** Sections in words: what a kernel was used for, what a buffer is held for, where a step is. */

import type { Section, SectionKind } from '../../../autograd/observer.ts';

/** The innermost section of a kind, '' where there is none. */
function nameOf(sections: readonly Section[], kind: SectionKind): string {
  return sections.findLast((section) => section.kind === kind)?.name ?? '';
}

/**
 * What tells two calls of one kernel apart: point and product (`gateUp dW`), else the op that is not the kernel's own, else
 * the phase. The layer is left out: layers are added up.
 */
export function useOf(kernel: string, sections: readonly Section[]): string {
  const point = nameOf(sections, 'point');
  if (point !== '') return `${point} ${nameOf(sections, 'product')}`.trim();
  const op = nameOf(sections, 'op');
  if (op !== '') return kernel.startsWith(op) ? '' : op;
  return nameOf(sections, 'phase');
}

/** The op that keeps a buffer, and its point; outside of ops it is the input of a scope that is run again. */
export function keeperOf(sections: readonly Section[]): string {
  return `${nameOf(sections, 'op')} ${nameOf(sections, 'point')}`.trim() || 'to recompute';
}

/** `step 1, backward, layer 3, glu`. */
export function placeOf(sections: readonly Section[]): string {
  return sections.map(({ name }) => name).join(', ');
}
