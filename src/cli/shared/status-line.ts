/**
 * StatusLine: one live line on stderr that says how far a long job is, how fast, and how long it will still take.
 *
 * On a terminal the line is redrawn in place at most ten times a second and cut to the width. In a pipe (a log file,
 * CI) a plain line is printed now and then instead. Whoever prints between two updates must `hide()` it first; `Output`
 * does that.
 */

import { formatCount, formatDuration, formatPercent, formatRate } from '../../util/format.ts';
import { columnsOf, cut, isTerminal, type TextStream, widthOf } from './terminal.ts';

/** A redraw every 100 ms is fluent and costs nothing beside a training step. */
const REDRAW_MS = 100;
/** Frequent enough to see that a job in a log lives, rare enough to read the log. */
const PLAIN_LINE_MS = 7000;
const BAR_COLUMNS = 16;
const SHORT_BAR_COLUMNS = 6;

export interface Status {
  /** What is being done, `training`. */
  label: string;
  /** Units done and to do; without `total` there is no bar and no time left. */
  done?: number;
  total?: number;
  /** What is counted, `tokens`; shown with the rate. */
  unit?: string;
  /** Units per second; where left out, the mean since the first update with this label. */
  rate?: number;
  /** Seconds left; where left out, from the rate. */
  secondsLeft?: number;
  /** Anything else, `loss 1.234`; the first thing after the bar. Of several the last is the first to go in a narrow terminal. */
  text?: string | readonly string[];
}

export interface StatusLineOptions {
  /** Milliseconds, monotonic; for tests. */
  now?: () => number;
}

export class StatusLine {
  readonly #stream: TextStream;
  readonly #now: () => number;
  readonly #live: boolean;
  #visible = false;
  #nextDraw = 0;
  #label: string | undefined;
  #since = 0;
  #doneAtStart = 0;

  constructor(stream: TextStream = process.stderr, options: StatusLineOptions = {}) {
    this.#stream = stream;
    this.#now = options.now ?? (() => performance.now());
    this.#live = isTerminal(stream);
  }

  /** Shows `status`, if the last drawing is long enough ago; cheap enough to call at every step. */
  update(status: Status): void {
    const now = this.#now();
    if (status.label !== this.#label) this.#begin(status, now);
    if (now < this.#nextDraw) return;
    const known = this.#withRate(status, now);
    if (this.#live) {
      this.#stream.write(`\r\x1b[2K${fitted(known, columnsOf(this.#stream) - 1)}`);
      this.#visible = true;
      this.#nextDraw = now + REDRAW_MS;
    } else {
      this.#stream.write(`${describe(known)}\n`);
      this.#nextDraw = now + PLAIN_LINE_MS;
    }
  }

  /** Takes the line off the terminal so that other text can be printed; the next update draws it at once. */
  hide(): void {
    if (!this.#visible) return;
    this.#stream.write('\r\x1b[2K');
    this.#visible = false;
    this.#nextDraw = 0;
  }

  /** The job is over: clears the line and prints `text`, if given, in its place. May be used again afterwards. */
  done(text?: string): void {
    this.hide();
    this.#label = undefined;
    this.#nextDraw = 0;
    if (text !== undefined) this.#stream.write(`${text}\n`);
  }

  #begin(status: Status, now: number): void {
    this.#label = status.label;
    this.#since = now;
    this.#doneAtStart = status.done ?? 0;
    this.#nextDraw = 0;
  }

  #withRate(status: Status, now: number): Status {
    const seconds = (now - this.#since) / 1000;
    const progressed = (status.done ?? 0) - this.#doneAtStart;
    const rate = status.rate ?? (seconds > 0 && progressed > 0 ? progressed / seconds : undefined);
    return rate === undefined ? status : { ...status, rate };
  }
}

/** Rate and time left stand at the end, where a cut would take them: the bar and the text give way first. */
function fitted(status: Status, columns: number): string {
  const texts = [status.text ?? []].flat();
  let line = describe(status);
  for (let kept = texts.length; widthOf(line) > columns && kept >= 0; kept--) {
    line = describe({ ...status, text: texts.slice(0, kept) }, SHORT_BAR_COLUMNS);
  }
  return cut(line, columns);
}

function describe(status: Status, barColumns = BAR_COLUMNS): string {
  const { label, done, total, unit, rate, secondsLeft, text = [] } = status;
  const parts = [label];
  if (done !== undefined && total !== undefined && total > 0) {
    const share = Math.min(1, Math.max(0, done / total));
    parts[0] = `${label} ${bar(share, barColumns)} ${formatPercent(share, 0).padStart(5)}`;
  } else if (done !== undefined) {
    parts.push(`${formatCount(done)}${unit ? ` ${unit}` : ''}`);
  }
  parts.push(...[text].flat().filter((part) => part !== ''));
  if (rate !== undefined && unit) parts.push(formatRate(rate, unit));
  const left = secondsLeft ?? (rate && done !== undefined && total !== undefined ? (total - done) / rate : undefined);
  if (left !== undefined && left >= 0)
    parts.push(`${left < 59.5 ? `${Math.round(left)} s` : formatDuration(left)} left`);
  return parts.join('  ');
}

function bar(share: number, columns: number): string {
  const full = Math.round(share * columns);
  return '█'.repeat(full) + '░'.repeat(columns - full);
}
