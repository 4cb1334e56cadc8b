/** Elements in one expression, and those of the page by their id. Text is set as text, never as HTML. */

type Child = Node | string | null | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** true sets an attribute without a value; false, null and undefined leave it out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child): child is Node | string => Boolean(child) || child === ''));
  return element;
}

/**
 * Replaces what is in `root`; elements are the same before and after by their `data-kept`: the one with the focus keeps it, and `details` that were opened are open.
 */
export function replaceKept(root: HTMLElement, ...children: readonly Node[]): void {
  const kept = (element: Element | null) => element?.getAttribute('data-kept') ?? null;
  const focused = root.contains(document.activeElement) ? kept(document.activeElement) : null;
  const opened = new Set([...root.querySelectorAll('details[open]')].map(kept));
  root.replaceChildren(...children);
  for (const element of root.querySelectorAll<HTMLElement>('[data-kept]')) {
    if (element instanceof HTMLDetailsElement) element.open = opened.has(kept(element));
    if (focused !== null && kept(element) === focused) element.focus({ preventScroll: true });
  }
}

/** The element of an id, which the page has. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element #${id}`);
  return element as T;
}

/** A custom property of the theme as it is now. */
export function themeColor(name: string): string {
  // A property may hold light-dark(): only a colour that is used is one.
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Calls `redraw` when the colours of the page change. */
export function onThemeChange(redraw: () => void): void {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  addEventListener('qsparse-theme', redraw);
}
