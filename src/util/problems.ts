/**
 * Problems: what is wrong with a configuration, gathered so that all of it is said at once.
 *
 * A check adds a sentence that names the field, what it must be and what it is; nobody corrects a file one error at a time. The check
 * of a field that needs others is left out while those are wrong (`has` tells), so that one mistake is reported once.
 */

import { nearestName, UsageError } from './errors.ts';

/** A message stays one line that can be read, whatever is in a file. */
const MOST_SHOWN = 12;
const MOST_CHARACTERS = 60;

export class Problems {
  readonly #where: string;
  readonly #messages: string[] = [];
  readonly #fields = new Set<string>();

  /** `where` is what stands in brackets in front of the message. */
  constructor(where: string) {
    this.#where = where;
  }

  /** A field with what is wrong: `${field} ${message}`. */
  add(field: string, message: string): void {
    this.#fields.add(field);
    this.#messages.push(`${field} ${message}`);
  }

  /** Fields that nobody knows, with the nearest name. */
  addUnknown(field: string, known: readonly string[]): void {
    const near = field.length <= MOST_CHARACTERS ? nearestName(field, known) : undefined;
    this.#messages.push(`unknown field "${clipped(field)}".${near ? ` Did you mean "${near}"?` : ' Leave it out.'}`);
  }

  /** Is one of these fields wrong already? */
  has(...fields: string[]): boolean {
    return fields.some((field) => this.#fields.has(field));
  }

  /** Throws one UsageError with all of them, numbered where there are several; returns where there are none. */
  throwAny(): void {
    const count = this.#messages.length;
    if (count === 0) return;
    if (count === 1) throw new UsageError(this.#where, this.#messages[0]);
    const shown = this.#messages.slice(0, MOST_SHOWN).map((message, i) => `(${i + 1}) ${message}`);
    const more = count > MOST_SHOWN ? ` And ${count - MOST_SHOWN} more.` : '';
    throw new UsageError(this.#where, `${count} problems: ${shown.join(' ')}${more}`);
  }

  /** A whole number of at least `least`; `note` says what a special value means. */
  whole(field: string, value: unknown, least: number, note = ''): void {
    if (Number.isInteger(value) && (value as number) >= least) return;
    this.add(field, `must be a whole number of at least ${least}${note}, got ${shown(value)}.`);
  }

  /** A number for which `fits` holds; `range` says in words which those are. */
  number(field: string, value: unknown, range: string, fits: (value: number) => boolean): void {
    if (typeof value === 'number' && fits(value)) return;
    this.add(field, `must be ${range}, got ${shown(value)}.`);
  }

  /** One of some words. */
  choice(field: string, value: unknown, choices: readonly string[]): void {
    if (typeof value === 'string' && choices.includes(value)) return;
    const words = `${choices.slice(0, -1).join(', ')} or ${choices[choices.length - 1]}`;
    const near = typeof value === 'string' && value.length <= MOST_CHARACTERS ? nearestName(value, choices) : undefined;
    this.add(field, `must be ${words}, got ${shown(value)}.${near ? ` Did you mean "${near}"?` : ''}`);
  }

  flag(field: string, value: unknown): void {
    if (typeof value !== 'boolean') this.add(field, `must be true or false, got ${shown(value)}.`);
  }
}

/** A value from outside, for a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `"${clipped(value)}"`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return clipped(String(value));
}

function clipped(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text;
}
