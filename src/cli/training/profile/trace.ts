/**
 * A trace of a few steps in Chrome's trace event format, which Perfetto (https://ui.perfetto.dev) opens: a JSON array of
 * complete events (`ph: "X"`), nested step > phase > layer > point > op > product > kernel by their times.
 *
 * Times are whole nanoseconds written as microseconds, so that what lies inside something else also does so in the file.
 * Source: "Trace Event Format", Google (2016).
 */

import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { UsageError } from '../../../util/errors.ts';

export interface TraceEvent {
  name: string;
  /** The kind of section, or `kernel`. */
  cat: string;
  ph: 'X';
  /** Microseconds since the first event. */
  ts: number;
  dur: number;
  pid: 1;
  tid: 1;
  args: Record<string, unknown>;
}

/** Enough to tell a trace: every one here begins with the event that names the process. */
const BEGINNING = /^\[\s*\{\s*"name":\s*"process_name",\s*"ph":\s*"M"/;

export class Trace {
  /** Of the first event; milliseconds of `performance.now`. */
  #originMs: number | null = null;
  readonly #events: { event: TraceEvent; startNs: number; isOpen: boolean }[] = [];

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  /** Begins an event and returns its number for `end`. Events begin in the order of their times. */
  begin(name: string, cat: string, startMs: number): number {
    this.#originMs ??= startMs;
    const startNs = this.#nanoseconds(startMs);
    const event: TraceEvent = { name, cat, ph: 'X', ts: startNs / 1000, dur: 0, pid: 1, tid: 1, args: {} };
    return this.#events.push({ event, startNs, isOpen: true }) - 1;
  }

  end(number: number, endMs: number, args: Record<string, unknown> = {}): void {
    const entry = this.#events[number];
    entry.event.dur = (this.#nanoseconds(endMs) - entry.startNs) / 1000;
    entry.event.args = args;
    entry.isOpen = false;
  }

  /** The file: one event a line. What has not ended is left out. `label` says what ran where. */
  toJson(label: string): string {
    const named = (name: string, args: object) => ({ name, ph: 'M', pid: 1, tid: 1, args });
    const events = [
      named('process_name', { name: 'qsparse train' }),
      named('process_labels', { labels: label }),
      named('thread_name', { name: 'training step' }),
      ...this.#events.filter(({ isOpen }) => !isOpen).map(({ event }) => event),
    ];
    return `[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]\n`;
  }

  #nanoseconds(ms: number): number {
    return Math.round((ms - (this.#originMs ?? 0)) * 1e6);
  }
}

/** An older trace may be replaced, nothing else. Throws UsageError. */
export function refuseOtherTrace(path: string): void {
  if (!existsSync(path)) return;
  if (statSync(path).isFile() && BEGINNING.test(beginningOf(path))) return;
  throw new UsageError(
    '--trace',
    `${path} is there and is no trace of this command; nothing was written. Choose another file.`,
  );
}

function beginningOf(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(100);
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}
