/** A stream that keeps what is written to it: a terminal or a pipe for tests of what a command prints. */

import type { TextStream } from '../../src/cli/shared/terminal.ts';

export interface CapturedStream extends TextStream {
  readonly text: () => string;
}

/** A pipe, or with `columns` a terminal of that width. */
export function captureStream(columns?: number): CapturedStream {
  let written = '';
  return {
    write(text) {
      written += text;
      return true;
    },
    text: () => written,
    ...(columns !== undefined && { isTTY: true, columns }),
  };
}
