/**
 * Turns text into the files that training reads: train.bin and validation.bin (little-endian ids, each document between the tokens
 * that begin and end texts) and data.json, which says what they were made of.
 *
 * Two passes over the text: the first one measures the documents and takes their hash, the second one tokenises.
 * data.json is written last and atomically, so it vouches for the others. With the same text, tokenizer and split
 * the files are used again; with any of them changed they are not touched: a run must not go on with other data.
 */

import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../formats/atomic-write.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { FormatError, messageOf, UsageError } from '../util/errors.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import type { Split } from './split-documents.ts';
import { splitDocuments } from './split-documents.ts';
import type { TextChunk, TextSource } from './text-source.ts';

const DATA_FORMAT_VERSION = 1;

export interface PartInfo {
  documents: number;
  tokens: number;
  /** UTF-8 bytes of the original text, for bits per byte. */
  bytes: number;
}

/** The contents of data.json. */
export interface TokenDataInfo {
  formatVersion: number;
  /** SHA-256 of the documents' text and of tokenizer.json. */
  textHash: string;
  tokenizerHash: string;
  vocabSize: number;
  /** uint16 up to 65536 ids. */
  idBytes: 2 | 4;
  seed: number;
  validationShare: number;
  /** "inside": the only document was cut near its end. */
  split: Split['kind'];
  train: PartInfo;
  validation: PartInfo;
}

export interface PrepareOptions {
  source: TextSource;
  tokenizer: Tokenizer;
  directory: string;
  /** Share of the text's bytes, in (0, 1). */
  validationShare: number;
  seed: number;
  /** Called after each chunk; `doneBytes` of `totalBytes` of the phase. Both are of the text, 0 before it is measured. */
  onProgress?: (progress: { phase: 'measure' | 'tokenise'; doneBytes: number; totalBytes: number }) => void;
  signal?: AbortSignal;
}

type Part = 'train' | 'validation';
const PARTS: readonly Part[] = ['train', 'validation'];
/** Ids collected before a write. */
const BUFFER_TOKENS = 2 ** 19;

/**
 * Makes the files, or finds that they are there already (`reused`). Lets the event loop run between chunks.
 * Throws UsageError for a tokenizer that ends no texts or text without characters, FormatError where the directory holds
 * the data of another text, tokenizer or split, and the reason of `signal`.
 */
export async function prepareTokenData(options: PrepareOptions): Promise<TokenDataInfo & { reused: boolean }> {
  const { source, tokenizer, directory, validationShare, seed } = options;
  const { vocabSize } = tokenizer;
  const frame = frameOf(tokenizer);
  const { documentBytes, textHash } = await measure(options);
  if (documentBytes.length === 0) {
    throw new UsageError('data', `no text in ${source.files.slice(0, 3).join(', ')}: expected at least one character.`);
  }
  const tokenizerHash = createHash('sha256').update(JSON.stringify(tokenizer.json)).digest('hex');
  const identity = { textHash, tokenizerHash, seed, validationShare };
  const existing = readExisting(directory, identity);
  if (existing !== undefined) return { ...existing, reused: true };
  const split = splitDocuments(documentBytes, validationShare, seed);
  const idBytes = vocabSize <= 65536 ? 2 : 4;
  const parts = await tokenise(options, split, documentBytes, idBytes, frame);
  const info: TokenDataInfo = {
    formatVersion: DATA_FORMAT_VERSION,
    ...identity,
    vocabSize,
    idBytes,
    split: split.kind,
    ...parts,
  };
  writeFileAtomically(join(directory, 'data.json'), `${JSON.stringify(info, null, 2)}\n`);
  return { ...info, reused: false };
}

/** Reads data.json and compares the sizes of the files with it. Throws FormatError. */
export function readTokenDataInfo(directory: string): TokenDataInfo {
  const path = join(directory, 'data.json');
  let info: TokenDataInfo;
  try {
    info = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new FormatError('data', `${path} cannot be read: ${messageOf(error)}. Prepare the data again.`, path);
  }
  if (info?.formatVersion !== DATA_FORMAT_VERSION) {
    const versions = `expected formatVersion ${DATA_FORMAT_VERSION}, found ${info?.formatVersion}`;
    throw new FormatError('data', `${path}: ${versions}. Delete the directory to prepare the data again.`, path);
  }
  for (const part of PARTS) {
    const file = join(directory, `${part}.bin`);
    const expected = Number(info[part]?.tokens) * info.idBytes;
    const found = existsSync(file) ? statSync(file).size : 0;
    if (found === expected) continue;
    const what = `expected ${expected} bytes, found ${found}`;
    throw new FormatError('data', `${file}: ${what}. Delete ${directory} to prepare the data again.`, file);
  }
  return info;
}

async function measure({ source, onProgress, signal }: PrepareOptions) {
  const hash = createHash('sha256');
  const documentBytes: number[] = [];
  let doneBytes = 0;
  let bytes = 0;
  for (const chunk of source.chunks()) {
    signal?.throwIfAborted();
    hash.update(chunk.text);
    bytes += chunk.bytes;
    doneBytes += chunk.bytes;
    if (chunk.endsDocument) {
      // The size keeps two documents apart from one that is both of them in a row.
      hash.update(`\0${bytes}\0`);
      documentBytes.push(bytes);
      bytes = 0;
    }
    onProgress?.({ phase: 'measure', doneBytes, totalBytes: source.totalBytes });
    await turnEventLoop();
  }
  return { documentBytes, textHash: hash.digest('hex') };
}

function readExisting(
  directory: string,
  identity: Pick<TokenDataInfo, 'textHash' | 'tokenizerHash' | 'seed' | 'validationShare'>,
): TokenDataInfo | undefined {
  if (!existsSync(join(directory, 'data.json'))) return undefined;
  const info = readTokenDataInfo(directory);
  const names = { textHash: 'text', tokenizerHash: 'tokenizer', seed: 'seed', validationShare: 'validation share' };
  for (const field of ['textHash', 'tokenizerHash', 'seed', 'validationShare'] as const) {
    if (info[field] === identity[field]) continue;
    const short = (value: string | number) => (typeof value === 'string' ? value.slice(0, 12) : value);
    const what = `the ${names[field]} is not the one that ${directory} was made of`;
    const values = `expected ${short(info[field])}, got ${short(identity[field])}`;
    throw new FormatError('data', `${what}: ${values}. Restore it, or start a new run in another --out.`, directory);
  }
  return info;
}

/** Ids around a document. */
interface DocumentFrame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * BOS where the texts of the model begin with it; what ends texts behind them, unless BOS does that too (llama2.c): then nothing else
 * stands between two.
 */
function frameOf({ endOfText, endIds, bos, config }: Tokenizer): DocumentFrame {
  const before = bos !== null && config?.add_bos_token ? [bos] : [];
  if (before.length > 0 && endIds.includes(bos!)) return { before, after: [] };
  const end = endOfText ?? endIds.find((id) => id !== bos);
  if (end === undefined) {
    throw new UsageError(
      'data',
      'the tokenizer has no token that ends a text, such as <|endoftext|>. Use one that has it.',
    );
  }
  return { before, after: [end] };
}

async function tokenise(
  { source, tokenizer, directory, onProgress, signal }: PrepareOptions,
  split: Split,
  documentBytes: readonly number[],
  idBytes: 2 | 4,
  frame: DocumentFrame,
): Promise<Record<Part, PartInfo>> {
  mkdirSync(directory, { recursive: true });
  const writers = {
    train: new IdWriter(join(directory, 'train.bin'), idBytes),
    validation: new IdWriter(join(directory, 'validation.bin'), idBytes),
  };
  const info = { train: emptyPart(), validation: emptyPart() };
  const totalBytes = documentBytes.reduce((sum, bytes) => sum + bytes, 0);
  let doneBytes = 0;
  let beginsDocument = true;
  try {
    for (const { part, text, bytes, endsDocument } of assignParts(source.chunks(), split)) {
      signal?.throwIfAborted();
      if (beginsDocument) writers[part].write(frame.before);
      beginsDocument = endsDocument;
      writers[part].write(tokenizer.encode(text));
      info[part].bytes += bytes;
      doneBytes += bytes;
      if (endsDocument) {
        writers[part].write(frame.after);
        info[part].documents++;
      }
      onProgress?.({ phase: 'tokenise', doneBytes, totalBytes });
      await turnEventLoop();
    }
    for (const part of PARTS) info[part].tokens = writers[part].finish();
  } finally {
    for (const part of PARTS) writers[part].close();
  }
  return info;
}

const emptyPart = (): PartInfo => ({ documents: 0, tokens: 0, bytes: 0 });

/** The chunks with the part that each belongs to; a cut inside the only document ends it on both sides. */
function* assignParts(chunks: Iterable<TextChunk>, split: Split): Generator<TextChunk & { part: Part }> {
  let document = 0;
  let bytes = 0;
  let cut = false;
  for (const chunk of chunks) {
    if (split.kind === 'documents') {
      yield { ...chunk, part: split.validation.has(document) ? 'validation' : 'train' };
      if (chunk.endsDocument) document++;
    } else if (cut || bytes + chunk.bytes <= split.afterBytes) {
      yield { ...chunk, part: cut ? 'validation' : 'train' };
    } else {
      const at = cutAfter(chunk.text, split.afterBytes - bytes);
      const head = chunk.text.slice(0, at);
      const headBytes = Buffer.byteLength(head);
      yield { text: head, bytes: headBytes, endsDocument: true, part: 'train' };
      const tail = { text: chunk.text.slice(at), bytes: chunk.bytes - headBytes, endsDocument: chunk.endsDocument };
      yield { ...tail, part: 'validation' };
      cut = true;
    }
    bytes += chunk.bytes;
  }
}

/** A place near byte `target` of a text, best behind a paragraph, else a line, else a word. */
function cutAfter(text: string, target: number): number {
  const start = Buffer.from(text)
    .subarray(0, target)
    .toString('utf8')
    .replace(/\ufffd+$/, '').length;
  for (const gap of [/\n\s*\n/g, /\n/g, /\s/g]) {
    gap.lastIndex = start;
    const match = gap.exec(text);
    // No further than half of what is left, so that validation keeps most of its share.
    if (match !== null && match.index + match[0].length <= (start + text.length) / 2)
      return match.index + match[0].length;
  }
  return start;
}

/** Collects ids and writes them as uint16 or uint32. */
class IdWriter {
  readonly #file: number;
  readonly #path: string;
  readonly #buffer: Uint16Array | Uint32Array;
  #filled = 0;
  #written = 0;

  constructor(path: string, idBytes: 2 | 4) {
    this.#path = path;
    this.#file = openSync(path, 'w');
    this.#buffer = idBytes === 2 ? new Uint16Array(BUFFER_TOKENS) : new Uint32Array(BUFFER_TOKENS);
  }

  write(ids: readonly number[]): void {
    for (const id of ids) {
      if (this.#filled === BUFFER_TOKENS) this.#flush();
      this.#buffer[this.#filled++] = id;
    }
  }

  /** Brings everything to the disk and returns the number of ids. */
  finish(): number {
    this.#flush();
    fsyncSync(this.#file);
    return this.#written;
  }

  close(): void {
    closeSync(this.#file);
  }

  #flush(): void {
    const bytes = new Uint8Array(this.#buffer.buffer, 0, this.#filled * this.#buffer.BYTES_PER_ELEMENT);
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
    } catch (error) {
      const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
      const reason = full ? 'the disk is full; free some space and try again' : messageOf(error);
      throw new FormatError('data', `cannot write ${this.#path}: ${reason}.`, this.#path, { cause: error });
    }
    this.#written += this.#filled;
    this.#filled = 0;
  }
}
