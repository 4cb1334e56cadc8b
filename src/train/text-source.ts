/**
 * Documents from `--text` paths: text files, JSON Lines, and folders of them.
 *
 * A text file is one document, a line of JSONL is one. Documents come in chunks, so that a file may be larger than
 * memory; chunks are cut in front of white space, preferably between paragraphs, where a cut changes no word of the
 * tokenizer. Text must be UTF-8: replacing what is not would train on damaged text without a word.
 */

import { isUtf8 } from 'node:buffer';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { FormatError, messageOf, UsageError } from '../util/errors.ts';
import { fileBlocks } from './file-blocks.ts';

export interface TextChunk {
  text: string;
  /** UTF-8 bytes of `text`. */
  bytes: number;
  /** The last chunk of its document. */
  endsDocument: boolean;
}

export interface TextSource {
  /** In the order in which they are read: paths as given, folders sorted by code unit. */
  readonly files: readonly string[];
  /** Bytes of the files as they lie on the disk. */
  readonly totalBytes: number;
  /** Reads everything from the start, each time it is called. Throws FormatError and UsageError as the text is met. */
  chunks(): Generator<TextChunk>;
}

export interface TextSourceOptions {
  /** Field of JSONL objects that holds the text. Default "text". */
  field?: string;
  /** Target size of a chunk. Default 1 MiB. */
  chunkBytes?: number;
}

const EXTENSIONS = ['.txt', '.md', '.jsonl', '.jsonl.gz'];
/** Node inflates a whole file at once, and a string of JSON lines beyond this would not fit either. */
const MAX_INFLATED_BYTES = 2 ** 31 - 1;
/** The longest string that V8 can hold is 2^29 characters. */
const MAX_LINE_BYTES = 2 ** 28;
const NEWLINE = 0x0a;
/** Ends of paragraphs, lines and words, each up to the last white space; white space as the tokenizer has it. */
const GAPS = [/\n\r?\n(?=\P{White_Space})/gu, /\n(?=\P{White_Space})/gu, /\p{White_Space}(?=\P{White_Space})/gu];

/**
 * Finds the files behind the paths; text is read later, by `chunks`.
 * Throws UsageError that names the path where one is missing, a folder holds no text or everything is empty.
 */
export function openTextSource(paths: readonly string[], options: TextSourceOptions = {}): TextSource {
  const { field = 'text', chunkBytes = 2 ** 20 } = options;
  if (paths.length === 0) throw new UsageError('text', 'no text was given. Name files or folders with --text.');
  const files = paths.flatMap((path) => findFiles(path));
  const totalBytes = files.reduce((sum, path) => sum + statSync(path).size, 0);
  if (totalBytes === 0) {
    throw new UsageError('text', `${paths.join(', ')}: every file is empty. Give files with text in them.`);
  }
  function* chunks(): Generator<TextChunk> {
    for (const path of files) {
      if (/\.jsonl(\.gz)?$/.test(path)) yield* jsonLineChunks(path, field, chunkBytes);
      else yield* documentChunks(fileText(path, chunkBytes), chunkBytes);
    }
  }
  return { files, totalBytes, chunks };
}

function findFiles(path: string): string[] {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UsageError('text', `${path} ${missing ? 'does not exist' : messageOf(error)}. Check --text.`);
  }
  if (!isDirectory) return [path];
  const files = filesBelow(path);
  if (files.length === 0) {
    throw new UsageError('text', `${path} holds no text: expected files that end in ${EXTENSIONS.join(', ')}.`);
  }
  return files;
}

/** Hidden entries are left out; linked folders too, since they may lead in a circle. */
function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => !entry.name.startsWith('.'));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    const isText = EXTENSIONS.some((extension) => entry.name.endsWith(extension));
    return isText && statSync(path).isFile() ? [path] : [];
  });
}

/** Pieces of one document, of any size, become chunks near the target size. Nothing for an empty document. */
function* documentChunks(pieces: Iterable<string>, chunkBytes: number): Generator<TextChunk> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    while (text.length > chunkBytes) {
      const at = cutPosition(text, chunkBytes);
      yield chunk(text.slice(0, at), false);
      text = text.slice(at);
    }
  }
  if (text !== '') yield chunk(text, true);
}

function chunk(text: string, endsDocument: boolean): TextChunk {
  return { text, bytes: Buffer.byteLength(text), endsDocument };
}

/**
 * Where to cut so that at most `limit` characters come before: in front of the last white space of a gap, between
 * paragraphs if there is such a place in the second half, else lines, else words, else anywhere between characters.
 */
function cutPosition(text: string, limit: number): number {
  const head = text.slice(0, limit + 1);
  const tail = head.slice(limit >> 1);
  for (const gap of GAPS) {
    let last: RegExpExecArray | undefined;
    for (const match of tail.matchAll(gap)) last = match;
    if (last !== undefined) return (limit >> 1) + last.index + last[0].length - 1;
  }
  const splitsPair = /[\ud800-\udbff]/.test(text[limit - 1]);
  return splitsPair ? limit - 1 : limit;
}

function* jsonLineChunks(path: string, field: string, chunkBytes: number): Generator<TextChunk> {
  let number = 0;
  for (const { bytes, offset } of fileLines(path)) {
    number++;
    const line = decodeUtf8(bytes, path, offset).trim();
    if (line !== '') yield* documentChunks([textOfLine(line, field, `${path} line ${number}`)], chunkBytes);
  }
}

function textOfLine(line: string, field: string, where: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new FormatError(
      'text',
      `${where}: expected one JSON object per line: ${messageOf(error)}. Mend or remove it.`,
      where,
    );
  }
  const text = (value as Record<string, unknown> | null)?.[field];
  if (typeof text === 'string') return text;
  if (text !== undefined) {
    const what = `expected a string in field "${field}", found ${JSON.stringify(text).slice(0, 40)}`;
    throw new UsageError('text', `${where}: ${what}. Mend the line, or name another field with --text-field.`);
  }
  const names = typeof value === 'object' && value !== null ? Object.keys(value).slice(0, 8).join(', ') : '';
  const found = names === '' ? `found ${line.slice(0, 40)}` : `found the fields ${names}`;
  throw new UsageError('text', `${where}: expected a string in field "${field}", ${found}. Name it with --text-field.`);
}

/** The lines of a file as bytes, without their ends, and where they begin. */
function* fileLines(path: string): Generator<{ bytes: Buffer; offset: number }> {
  let rest: Buffer[] = [];
  let offset = 0;
  for (const block of path.endsWith('.gz') ? inflated(path) : fileBlocks(path, 2 ** 20)) {
    let start = 0;
    for (let end = block.indexOf(NEWLINE); end >= 0; end = block.indexOf(NEWLINE, start)) {
      const bytes = Buffer.concat([...rest, block.subarray(start, end)]);
      yield { bytes, offset };
      offset += bytes.length + 1;
      rest = [];
      start = end + 1;
    }
    // A copy: the block is overwritten by the next one.
    rest.push(Buffer.from(block.subarray(start)));
    const length = rest.reduce((sum, part) => sum + part.length, 0);
    if (length > MAX_LINE_BYTES) {
      const what = `a line has more than ${MAX_LINE_BYTES} bytes at byte ${offset}`;
      throw new FormatError('text', `${path}: ${what}: expected one JSON object per line.`, path);
    }
  }
  const last = Buffer.concat(rest);
  if (last.length > 0) yield { bytes: last, offset };
}

function* inflated(path: string): Generator<Buffer> {
  try {
    yield gunzipSync(readFileSync(path), { maxOutputLength: MAX_INFLATED_BYTES });
  } catch (error) {
    const large = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    const what = large ? `it inflates to more than ${MAX_INFLATED_BYTES} bytes` : messageOf(error);
    throw new FormatError('text', `${path} cannot be inflated: ${what}. Unpack it with gunzip first.`, path);
  }
}

/** The text of a file in blocks that never split a character; a byte order mark at its start is left out. */
function* fileText(path: string, blockBytes: number): Generator<string> {
  let rest = Buffer.alloc(0);
  let offset = 0;
  for (const block of fileBlocks(path, blockBytes)) {
    const bytes = Buffer.concat([rest, block]);
    const whole = bytes.subarray(0, bytes.length - unfinishedBytes(bytes));
    const text = decodeUtf8(whole, path, offset);
    yield offset === 0 ? text.replace(/^\ufeff/, '') : text;
    rest = Buffer.from(bytes.subarray(whole.length));
    offset += whole.length;
  }
  yield decodeUtf8(rest, path, offset);
}

/** How many bytes at the end begin a character whose end is not there yet, 0 .. 3. */
function unfinishedBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

function decodeUtf8(bytes: Buffer, path: string, offset: number): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const prefix = validPrefix(bytes);
  const what = `byte ${offset + prefix} (0x${bytes[prefix].toString(16)}) begins no character of UTF-8`;
  throw new FormatError('text', `${path}: ${what}. Convert the file, for example with iconv, or leave it out.`, path);
}

/** The length of the longest beginning that can be decoded, by bisection: every longer one fails. */
function validPrefix(bytes: Buffer): number {
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      valid = middle;
    } catch {
      invalid = middle;
    }
  }
  // What the stream mode still waited for may be the beginning of the bad character.
  return valid - unfinishedBytes(bytes.subarray(0, valid));
}
