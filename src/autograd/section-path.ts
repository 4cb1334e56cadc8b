/** The sections that a tape has entered and not yet left, outermost first; tells the observer of every change. */

import type { Observer, Section, SectionKind } from './observer.ts';

export class SectionPath {
  readonly #observer: Observer;
  readonly #open: Section[] = [];

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  get sections(): readonly Section[] {
    return [...this.#open];
  }

  enter(kind: SectionKind, name: string): void {
    const section = { kind, name };
    this.#open.push(section);
    this.#observer.enter(section);
  }

  exit(): void {
    if (this.#open.pop() !== undefined) this.#observer.exit();
  }

  /** Leaves and enters sections until `path` is open. What both have in common stays open: a layer is one section. */
  moveTo(path: readonly Section[]): void {
    let common = 0;
    while (common < this.#open.length && isSame(this.#open[common], path[common])) common++;
    while (this.#open.length > common) this.exit();
    for (const { kind, name } of path.slice(common)) this.enter(kind, name);
  }
}

function isSame(a: Section, b: Section | undefined): boolean {
  return b !== undefined && a.kind === b.kind && a.name === b.name;
}
