/** The elements of a JSON list that is a file, found without parsing them: brackets and strings are followed byte by byte. */

import { FormatError } from '../util/errors.ts';
import { RecordBytes, type SourceRecord } from './source-record.ts';

const [NEWLINE, QUOTE, BACKSLASH, COMMA] = Buffer.from('\n"\\,');
const [LIST_BEGIN, LIST_END, OBJECT_BEGIN, OBJECT_END] = Buffer.from('[]{}');
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

const isBlank = (byte: number) => byte === 0x20 || byte === NEWLINE || byte === 0x0d || byte === 0x09;

/** Of the first block of a file. */
export function beginsList(block: Buffer): boolean {
  let at = block.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
  while (isBlank(block[at])) at++;
  return block[at] === LIST_BEGIN;
}

/**
 * Divides at the commas of the outermost list alone; whether an element is JSON, who parses it will see. Throws FormatError that names `path` and the line where an element is missing, the
 * list has no end, or something is behind it.
 */
export function* listElements(blocks: Iterable<Buffer>, maxBytes: number, path: string): Generator<SourceRecord> {
  const fail = (line: number, what: string): never => {
    throw new FormatError('sft', `${path} line ${line}: ${what}`, path);
  };
  const nesting = new Nesting();
  const element = new RecordBytes(maxBytes);
  let line = 1;
  /** The line that the element begins in; 0 before its first character. */
  let begin = 0;
  for (const block of blocks) {
    let start = 0;
    for (let i = 0; i < block.length; i++) {
      const byte = block[i];
      if (byte === NEWLINE) line++;
      switch (nesting.read(byte)) {
        case 'list begins':
          start = i + 1;
          break;
        case 'element':
          if (begin === 0) begin = line;
          break;
        case 'element ends':
        case 'list ends':
          element.add(block.subarray(start, i));
          if (begin > 0) yield { line: begin, ...element.take() };
          else if (byte === COMMA) fail(line, 'expected an element of the list in front of the comma, found none.');
          else element.take();
          begin = 0;
          start = i + 1;
          break;
        case 'behind the list':
          fail(line, 'expected nothing behind the list that the file begins with.');
      }
    }
    element.add(block.subarray(start));
  }
  if (!nesting.isOver)
    fail(begin || line, 'expected "]" at the end of the list that the file begins with, found none.');
}

type Place = 'blank' | 'list begins' | 'element' | 'element ends' | 'list ends' | 'behind the list';

/** Where in the outermost list a byte is. */
class Nesting {
  /** Of brackets that are open: 0 before the list, 1 between its elements. */
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  isOver = false;

  read(byte: number): Place {
    if (this.#inString) {
      this.#readString(byte);
      return 'element';
    }
    if (isBlank(byte)) return 'blank';
    if (this.isOver) return 'behind the list';
    if (this.#depth === 0) {
      if (byte !== LIST_BEGIN) return 'blank'; // the mark of the byte order
      this.#depth = 1;
      return 'list begins';
    }
    if (this.#depth === 1 && byte === COMMA) return 'element ends';
    if (this.#depth === 1 && byte === LIST_END) {
      this.isOver = true;
      return 'list ends';
    }
    this.#open(byte);
    return 'element';
  }

  #readString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }

  #open(byte: number): void {
    if (byte === QUOTE) this.#inString = true;
    else if (byte === LIST_BEGIN || byte === OBJECT_BEGIN) this.#depth++;
    // One that nothing opened is part of an element that is no JSON.
    else if (byte === LIST_END || byte === OBJECT_END) this.#depth = Math.max(1, this.#depth - 1);
  }
}
