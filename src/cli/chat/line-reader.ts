/**
 * What a person types, or a program writes into the pipe, line by line.
 *
 * On a terminal every question opens the line editor (history, arrows, Ctrl-U) and closes it before the answer, so that Ctrl-C in an answer is a
 * signal again and not a key. Lines that come faster than they are asked for, by pasting, wait. At the prompt Ctrl-C empties the
 * line; on an empty one the second ends the conversation. A pipe is read by one reader from its beginning to its end.
 */

import { createInterface } from 'node:readline';

export interface LineReader {
  /** The next line without its end; null where there are no more. */
  next(): Promise<string | null>;
  /** Ends what waits, and all that would come. */
  close(): void;
}

export function pipeLines(input: NodeJS.ReadableStream): LineReader {
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  const iterator = lines[Symbol.asyncIterator]();
  let isClosed = false;
  return {
    async next() {
      const { done, value } = await iterator.next();
      // The iterator still gives the lines that were read before it was closed.
      return done || isClosed ? null : value;
    },
    close() {
      isClosed = true;
      lines.close();
    },
  };
}

/** `onFirstInterrupt` says that one more Ctrl-C ends it. */
export class TerminalLines implements LineReader {
  readonly #input: NodeJS.ReadableStream;
  readonly #output: NodeJS.WritableStream;
  readonly #prompt: string;
  readonly #onFirstInterrupt: () => void;
  #history: string[] = [];
  #waiting: string[] = [];
  #closed = false;
  #closeEditor = () => {};

  constructor(
    input: NodeJS.ReadableStream,
    output: NodeJS.WritableStream,
    prompt: string,
    onFirstInterrupt: () => void,
  ) {
    this.#input = input;
    this.#output = output;
    this.#prompt = prompt;
    this.#onFirstInterrupt = onFirstInterrupt;
  }

  async next(): Promise<string | null> {
    while (this.#waiting.length === 0 && !this.#closed) await this.#edit();
    return this.#waiting.shift() ?? null;
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#closeEditor();
  }

  /** Until a line is entered, or the input ends. */
  #edit(): Promise<void> {
    const editor = createInterface({
      input: this.#input,
      output: this.#output,
      prompt: this.#prompt,
      history: this.#history,
      terminal: true,
    });
    this.#closeEditor = () => editor.close();
    let wasInterrupted = false;
    return new Promise((resolve) => {
      editor.on('history', (history) => {
        this.#history = history;
      });
      editor.on('line', (line) => {
        this.#waiting.push(line);
        editor.close();
      });
      editor.on('SIGINT', () => {
        if (editor.line === '' && wasInterrupted) {
          this.close();
          return;
        }
        wasInterrupted = editor.line === '';
        editor.write(null, { ctrl: true, name: 'e' });
        editor.write(null, { ctrl: true, name: 'u' });
        if (wasInterrupted) {
          this.#output.write('\n');
          this.#onFirstInterrupt();
        }
        editor.prompt();
      });
      editor.on('close', () => {
        if (this.#waiting.length === 0) {
          this.#closed = true;
          this.#output.write('\n');
        }
        resolve();
      });
      editor.prompt();
    });
  }
}
