/**
 * fetchModel: which files a URL means, fetched; and a response read in chunks with progress.
 *
 * A URL whose path ends with .gguf is that file; any other is the directory of a packed model, whose files have their names. Where the bytes go is
 * the caller's: memory in Node, the cache of a page in a browser.
 */

import type { ByteSource } from '../formats/byte-source.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import type { ModelBytes } from './open-model-bytes.ts';
import type { LoadOptions } from './text-model.ts';

/** Fetches a file; null where the server has none of that name. Rejects with FormatError, and with the signal's reason. */
export type FetchFile = (url: URL) => Promise<ByteSource | null>;

/** Throws FormatError where a file that a model needs is not there. */
export async function fetchModel(url: URL, fetchFile: FetchFile): Promise<ModelBytes> {
  const needed = async (file: URL): Promise<ByteSource> => {
    const source = await fetchFile(file);
    if (source !== null) return source;
    const expected =
      'expected the directory of a packed model (config.json, tokenizer.json, model.safetensors) or a .gguf file';
    throw new FormatError('load', `${file.href} does not exist: ${expected}. Check the URL.`, file.href);
  };
  if (url.pathname.endsWith('.gguf')) return { kind: 'gguf', name: nameOf(url), model: await needed(url) };
  const file = (name: string): URL => {
    const inside = new URL(url);
    inside.pathname = `${url.pathname.replace(/\/$/, '')}/${name}`;
    return inside;
  };
  const config = await needed(file('config.json'));
  const tokenizer = await needed(file('tokenizer.json'));
  const tokenizerConfig = await fetchFile(file('tokenizer_config.json'));
  const model = await needed(file('model.safetensors'));
  return { kind: 'packed', name: nameOf(url), config, tokenizer, tokenizerConfig, model };
}

function nameOf({ pathname, hostname }: URL): string {
  const last = pathname.split('/').findLast((part) => part !== '') ?? hostname;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/**
 * The response to a GET; null where there is no such file, also where the server answers with a page of its own, as those of single-page sites do.
 * Rejects with FormatError for another status and where nothing answers.
 */
export async function fetchResponse(url: URL, signal: AbortSignal | undefined): Promise<Response | null> {
  let response: Response;
  try {
    response = await fetch(url, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new FormatError('load', `cannot fetch ${url.href}: ${causeOf(error)}.`, url.href, { cause: error });
  }
  const isPage = response.headers.get('content-type')?.startsWith('text/html') ?? false;
  if (response.status === 404 || (response.ok && isPage)) {
    await response.body?.cancel();
    return null;
  }
  if (response.ok) return response;
  await response.body?.cancel();
  throw new FormatError('load', `cannot fetch ${url.href}: expected status 200, got ${response.status}.`, url.href);
}

/** The size that a response tells of itself; null where it is compressed on its way or tells none. */
export function sizeOfResponse({ headers }: Response): number | null {
  const length = headers.get('content-length');
  return length === null || headers.get('content-encoding') !== null ? null : Number(length);
}

/** A page may not see whether what comes from another origin is compressed: the size may then be that of fewer bytes than arrive. */
function isSizeCertain({ type }: Response): boolean {
  return type !== 'cors';
}

/** Often enough for a bar that moves, and nothing beside the network. */
const REPORT_EVERY_MS = 100;

/** The chunks of a body. Rejects with FormatError where it breaks off, and with the signal's reason. */
export async function* chunksOf(
  response: Response,
  url: URL,
  { onProgress, signal }: Pick<LoadOptions, 'onProgress' | 'signal'>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const totalBytes = sizeOfResponse(response);
  const reader = response.body?.getReader();
  let loadedBytes = 0;
  let reportedAt = 0;
  const isCertain = isSizeCertain(response);
  const report = () => {
    const isRight = totalBytes !== null && loadedBytes <= totalBytes;
    onProgress?.({ phase: 'fetch', file: url.href, loadedBytes, totalBytes: isRight ? totalBytes : null });
  };
  try {
    for (;;) {
      const next = await reader?.read();
      if (next === undefined || next.done) break;
      loadedBytes += next.value.length;
      yield next.value as Uint8Array<ArrayBuffer>;
      if (performance.now() - reportedAt < REPORT_EVERY_MS) continue;
      reportedAt = performance.now();
      report();
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof FormatError) throw error;
    throw new FormatError('load', `${url.href} broke off at byte ${loadedBytes}: ${causeOf(error)}.`, url.href, {
      cause: error,
    });
  } finally {
    await reader?.cancel().catch(() => {});
  }
  if (isCertain && totalBytes !== null && loadedBytes !== totalBytes) {
    throw new FormatError(
      'load',
      `${url.href}: expected ${totalBytes} bytes, got ${loadedBytes}. Try again.`,
      url.href,
    );
  }
  report();
}

/** What `fetch` says is "fetch failed"; why is in its cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return messageOf(cause instanceof Error && cause.message !== '' ? cause : error);
}
