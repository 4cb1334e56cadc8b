/**
 * fetchFile: a file of a model by its URL, in a Worker: out of the cache where the server still has this version, else over the network and into the
 * cache. Where the cache fails the file is kept in memory instead, and `onNotice` says why.
 */

import type { ByteSource } from '../formats/byte-source.ts';
import { chunksOf, fetchResponse, sizeOfResponse } from '../load/fetch-model.ts';
import type { LoadOptions } from '../load/text-model.ts';
import { messageOf } from '../util/errors.ts';
import { blobSource } from './blob-source.ts';
import { type CacheWriter, canBeCached, type FileVersion, ModelCache } from './model-cache.ts';

/** null: files are not cached. Says it where they were to be. */
export async function openCache({ cache = true, onNotice }: LoadOptions): Promise<ModelCache | null> {
  if (!cache) return null;
  try {
    return await ModelCache.open();
  } catch (error) {
    onNotice?.(`The model is not kept for the next visit: ${messageOf(error)}.`);
    return null;
  }
}

/** null where the server has no such file. Rejects as fetchResponse and chunksOf do. */
export async function fetchFile(url: URL, cache: ModelCache | null, options: LoadOptions): Promise<ByteSource | null> {
  const cached = (await cache?.find(url.href)) ?? null;
  let response: Response | null;
  try {
    response = await fetchResponse(url, options.signal);
  } catch (error) {
    if (cached === null || options.signal?.aborted) throw error;
    options.onNotice?.(`${messageOf(error)} Using what was kept of an earlier visit.`);
    return cached.blob && blobSource(cached.blob, url.href);
  }
  if (response === null) {
    // A file that cannot be noted is asked for again.
    await cache?.writeMissing(url.href).catch(() => {});
    return null;
  }
  const version = versionOf(response);
  if (cached?.blob && isSame(cached.version, version)) {
    await response.body?.cancel();
    return blobSource(cached.blob, url.href);
  }
  const writer = cache !== null && canBeCached(version) ? await beginWriting(cache, url, version, options) : null;
  return blobSource(await receive(response, url, writer, options), url.href);
}

function versionOf(response: Response): FileVersion {
  const { headers } = response;
  return {
    bytes: sizeOfResponse(response),
    etag: headers.get('etag'),
    lastModified: headers.get('last-modified'),
  };
}

function isSame(a: FileVersion, b: FileVersion): boolean {
  return canBeCached(b) && a.bytes === b.bytes && a.etag === b.etag && a.lastModified === b.lastModified;
}

async function beginWriting(
  cache: ModelCache,
  url: URL,
  version: FileVersion,
  { onNotice }: LoadOptions,
): Promise<CacheWriter | null> {
  try {
    return await cache.write(url.href, version, (error) => onNotice?.(notKept(url, error)));
  } catch (error) {
    onNotice?.(notKept(url, error));
    return null;
  }
}

function notKept(url: URL, error: unknown): string {
  return `${url.href} is not kept for the next visit: ${messageOf(error)}.`;
}

async function receive(response: Response, url: URL, writer: CacheWriter | null, options: LoadOptions): Promise<Blob> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let cached = writer;
  const giveUp = (error: unknown): void => {
    if (cached === null) return;
    chunks.push(cached.abandon());
    cached = null;
    options.onNotice?.(notKept(url, error));
  };
  try {
    for await (const chunk of chunksOf(response, url, options)) {
      try {
        cached?.append(chunk);
      } catch (error) {
        giveUp(error);
      }
      if (cached === null) chunks.push(chunk);
    }
  } catch (error) {
    cached?.abandon();
    throw error;
  }
  try {
    if (cached !== null) return await cached.finish();
  } catch (error) {
    giveUp(error);
  }
  return new Blob(chunks);
}
