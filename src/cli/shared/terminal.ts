/**
 * What the command line knows about the stream it writes to: is it a terminal, how wide, may it be coloured.
 *
 * Colours appear on a terminal only, and never with NO_COLOR (no-color.org) or TERM=dumb. A pipe gets plain lines.
 */

import { styleText } from 'node:util';

/** The part of a `tty.WriteStream` that is used; a pipe lacks `isTTY` and `columns`. */
export interface TextStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

const DEFAULT_COLUMNS = 80;

/** A terminal that understands cursor movement. */
export function isTerminal(stream: TextStream): boolean {
  return stream.isTTY === true && process.env.TERM !== 'dumb';
}

/** Columns of the terminal, 80 where it does not say. */
export function columnsOf(stream: TextStream): number {
  return stream.columns !== undefined && stream.columns > 0 ? stream.columns : DEFAULT_COLUMNS;
}

/** `text` in a colour or weight of `styleText` where the stream may be coloured, else unchanged. */
export function paint(format: Parameters<typeof styleText>[0], text: string, stream: TextStream): string {
  if (!isTerminal(stream) || process.env.NO_COLOR) return text;
  // Whether to colour was decided above, for this stream; styleText alone would look at stdout.
  return styleText(format, text, { validateStream: false });
}

/** `text` cut to `columns` characters, with an ellipsis in the last one. */
export function cut(text: string, columns: number): string {
  const characters = [...text];
  if (characters.length <= columns) return text;
  return columns < 1 ? '' : `${characters.slice(0, columns - 1).join('')}…`;
}

/** How many columns `text` takes, one per code point (wide and combining characters are not told apart). */
export function widthOf(text: string): number {
  return [...text].length;
}

/** `text` without control characters: a model may write any byte, and the terminal should not obey it. */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, '\ufffd');
}
