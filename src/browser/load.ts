/**
 * load: a model that writes text, in a browser: an engine in a Worker, from a URL or from files that somebody dropped.
 *
 *     import { load } from 'qsparse';
 *     const model = await load('models/book/', { onProgress: ({ loadedBytes }) => show(loadedBytes) });
 *     for await (const { text } of model.generate('Once upon a time')) output.append(text);
 *
 * Owns the page's end of the Worker: messages become promises and streams. Nothing leaves the machine but the requests for the model's files.
 */

import type {
  LoadOptions,
  TextModel,
  TextModelInfo,
  TextOptions,
  TextPiece,
  TextPrompt,
  TextSummary,
} from '../load/text-model.ts';
import { BackendError, QSparseError, UsageError } from '../util/errors.ts';
import type { BrowserGlobals, WorkerLike } from './browser-globals.ts';
import { type FromWorker, receiveError, type SentSource, type ToWorker } from './protocol.ts';

declare const Worker: BrowserGlobals['Worker'];

/** A Blob with a name: a File of a page. In a folder that was dropped, `webkitRelativePath` says where it lay. */
export interface NamedBlob extends Blob {
  readonly name: string;
  readonly webkitRelativePath?: string;
}

/** The URL of a .gguf file or of the directory of a packed model, relative to the page; a .gguf file; or the files of a model. */
export type ModelInput = string | URL | NamedBlob | readonly NamedBlob[];

/**
 * Rejects with FormatError for what is no model, UsageError for wrong options, BackendError where the browser cannot run it, and the signal's
 * reason.
 */
export async function load(source: ModelInput, options: LoadOptions = {}): Promise<TextModel> {
  const { threads, contextTokens, cache, onProgress, onNotice, signal } = options;
  signal?.throwIfAborted();
  const sent = sourceOf(source);
  // In one expression, as it stands here: so bundlers find the program and its files.
  const worker = new Worker(new URL('./engine-worker.js', import.meta.url), { type: 'module', name: 'qsparse-engine' });
  const post = (message: ToWorker): void => worker.postMessage(message);
  const aborted = () => worker.terminate();
  try {
    const info = await new Promise<TextModelInfo>((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      worker.onerror = ({ message }) => reject(broken(message));
      worker.onmessage = ({ data }) => {
        const message = data as FromWorker;
        if (message.type === 'progress') onProgress?.(message.progress);
        else if (message.type === 'notice') onNotice?.(message.line);
        else if (message.type === 'loaded') resolve(message.info);
        else if (message.type === 'load-failed') reject(receiveError(message.error));
      };
      post({ type: 'load', source: sent, options: { threads, contextTokens, cache } });
    });
    return new WorkerTextModel(info, worker);
  } catch (error) {
    aborted();
    throw error;
  }
}

function sourceOf(source: ModelInput): SentSource {
  if (typeof source === 'string' || source instanceof URL) {
    const base = (globalThis as { location?: { href: string } }).location?.href;
    if (!URL.canParse(String(source), base)) {
      throw new UsageError('load', `expected a URL or files, got "${source}". Give the URL of a model.`);
    }
    return { kind: 'url', href: new URL(source, base).href };
  }
  const files = Array.isArray(source) ? (source as readonly NamedBlob[]) : [source as NamedBlob];
  const named = files.map((blob) => ({ name: blob.webkitRelativePath || blob.name, blob }));
  return { kind: 'files', files: named };
}

function broken(message: string | undefined): BackendError {
  return new BackendError(
    'load',
    `the Worker of the engine does not run: ${message ?? 'its program cannot be loaded'}.`,
  );
}

/** What arrives of one text, until its reader has taken it. */
interface Waiting {
  readonly pieces: TextPiece[];
  end: { readonly summary: TextSummary } | { readonly error: Error } | null;
  wake: () => void;
}

/** Resolves when something has arrived. */
function woken(waiting: Waiting): Promise<void> {
  return new Promise((resolve) => {
    waiting.wake = resolve;
  });
}

class WorkerTextModel implements TextModel {
  readonly info: TextModelInfo;
  readonly #worker: WorkerLike;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #isDisposed = false;

  constructor(info: TextModelInfo, worker: WorkerLike) {
    this.info = info;
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#receive(data as FromWorker);
    worker.onerror = ({ message }) => this.#failAll(broken(message));
  }

  async *generate(prompt: TextPrompt, options: TextOptions = {}): AsyncGenerator<TextPiece, TextSummary> {
    if (this.#isDisposed)
      throw new UsageError('generate', 'the model was disposed of: expected a loaded one. Load it again.');
    const { signal, ...rest } = options;
    const id = ++this.#lastId;
    const waiting: Waiting = { pieces: [], end: null, wake: () => {} };
    const stop = () => this.#post({ type: 'stop', id });
    this.#waiting.set(id, waiting);
    this.#post({ type: 'generate', id, prompt, options: rest });
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      while (waiting.end === null || waiting.pieces.length > 0) {
        const piece = waiting.pieces.shift();
        if (piece === undefined) await woken(waiting);
        else yield piece;
      }
      if ('error' in waiting.end) throw waiting.end.error;
      return waiting.end.summary;
    } finally {
      signal?.removeEventListener('abort', stop);
      // A reader that leaves early waits until the Worker is free for the next text.
      if (waiting.end === null) stop();
      while (waiting.end === null) await woken(waiting);
      this.#waiting.delete(id);
    }
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true;
    this.#worker.terminate();
    this.#failAll(new QSparseError('generate', 'the model was disposed of while it wrote.'));
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    if (!('id' in message)) return;
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    if (message.type === 'piece') waiting.pieces.push(message.piece);
    else waiting.end = message.type === 'ended' ? { summary: message.summary } : { error: receiveError(message.error) };
    waiting.wake();
  }

  #failAll(error: Error): void {
    for (const waiting of this.#waiting.values()) {
      waiting.end ??= { error };
      waiting.wake();
    }
  }
}
