/**
 * Output: the one place where a command prints.
 *
 * Results go to stdout, everything about how they came about (progress, notes) to stderr. With `--json` stdout carries
 * exactly one JSON object and what people would read goes to stderr, so that a pipe into a program never breaks.
 */

import { StatusLine } from './status-line.ts';
import { type Column, formatTable, type TableRow } from './table.ts';
import { columnsOf, isTerminal, paint, type TextStream } from './terminal.ts';

export interface OutputOptions {
  /** stdout is for `json()` alone. */
  json: boolean;
  stdout?: TextStream;
  stderr?: TextStream;
}

export class Output {
  readonly isJson: boolean;
  readonly #stdout: TextStream;
  readonly #stderr: TextStream;
  /** Where results for people go. */
  readonly #people: TextStream;
  #status: StatusLine | undefined;

  constructor({ json, stdout = process.stdout, stderr = process.stderr }: OutputOptions) {
    this.isJson = json;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#people = json ? stderr : stdout;
  }

  /** A line of the result: stdout, or stderr with `--json`. */
  line(text = ''): void {
    this.write(`${text}\n`);
  }

  /** Text as it is, without a line end, for streams of tokens: stdout, or stderr with `--json`. */
  write(text: string): void {
    this.#status?.hide();
    this.#people.write(text);
  }

  /** A heading in bold on a terminal, with an empty line before it. */
  heading(text: string): void {
    this.line(`\n${paint('bold', text, this.#people)}`);
  }

  /** Something worth knowing that is not the result: stderr always, dim on a terminal. */
  note(text: string): void {
    this.#status?.hide();
    this.#stderr.write(`${paint('dim', text, this.#stderr)}\n`);
  }

  /** Something that may be wrong: stderr always. */
  warn(text: string): void {
    this.#status?.hide();
    this.#stderr.write(`${paint('yellow', 'warning:', this.#stderr)} ${text}\n`);
  }

  /** Rows as an aligned table; the columns are those of the first row where none are given. */
  table(rows: readonly TableRow[], options: { columns?: readonly Column[] } = {}): void {
    const columns = options.columns ?? Object.keys(rows[0] ?? {}).map((key) => ({ key }));
    const width = isTerminal(this.#people) ? columnsOf(this.#people) : Infinity;
    const [titles, ...lines] = formatTable(rows, columns, width);
    if (titles === undefined) return;
    this.line(lines.length > 0 ? paint('bold', titles, this.#people) : titles);
    for (const line of lines) this.line(line);
  }

  /** The one JSON object of `--json`; does nothing without it. Numbers that JSON lacks (NaN, Infinity) become null. */
  json(object: object): void {
    if (!this.isJson) return;
    this.#status?.hide();
    this.#stdout.write(`${JSON.stringify(object)}\n`);
  }

  /** The live line of this output, on stderr. */
  progress(): StatusLine {
    this.#status ??= new StatusLine(this.#stderr);
    return this.#status;
  }
}
