/**
 * resolveModelPath: what a command was given as a model becomes a path on this disk; ids of the Hub are fetched into the cache.
 *
 * A path that exists stands for itself, whatever else it could mean. Of a repository only the files of the model are fetched, those that are
 * there already not again. The whole snapshot is there, or an error says what is missing. Offline nothing is asked of the network:
 * not even whether a branch has moved.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { listFiles, modelInfo } from '@huggingface/hub';
import { writeFileAtomically } from '../formats/atomic-write.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import { type CacheLayout, cacheLayout, defaultCacheFolder, isCommit } from './cache-layout.ts';
import { CONFIG_FILE, checkFileName, chooseFiles, INDEX_FILE, shardsIn } from './choose-files.ts';
import { downloadFile, type Remote, type RemoteFile } from './download-file.ts';
import { type ModelId, parseModelId } from './model-id.ts';
import { linkFile } from './place-file.ts';

export interface DownloadProgress {
  /** The file that is coming in. */
  readonly file: string;
  /** Bytes of all files together, those of earlier runs included. */
  readonly done: number;
  readonly total: number;
}

export interface ResolveModelOptions {
  /** Use what the cache has and nothing else. Default: whether $HF_HUB_OFFLINE is set to 1, true, yes or on. */
  offline?: boolean;
  /** Default: see cache-layout.ts. */
  cacheFolder?: string;
  /** Default: $HF_ENDPOINT, or https://huggingface.co. */
  hubUrl?: string;
  /** For models that are not public. Default: $HF_TOKEN. */
  accessToken?: string;
  onProgress?: (progress: DownloadProgress) => void;
  /** Its reason is thrown; what has come in stays for the next run. */
  signal?: AbortSignal;
}

/** More files than any repository of a model has. */
const MAX_FILES = 10_000;

/**
 * The path itself where it exists or is no id (whoever opens it says what is wrong), else that of the snapshot or GGUF file in the cache. Throws
 * UsageError for a repository that holds no model or several, FormatError for what cannot be fetched, is damaged, or is not in the cache while
 * offline.
 */
export async function resolveModelPath(idOrPath: string, options: ResolveModelOptions = {}): Promise<string> {
  const id = existsSync(idOrPath) ? null : parseModelId(idOrPath);
  if (id === null) return idOrPath;
  const layout = cacheLayout(options.cacheFolder ?? defaultCacheFolder(), id.repository);
  if (options.offline ?? isOffline(process.env.HF_HUB_OFFLINE)) return cachedPath(id, layout);
  return await fetchSnapshot(id, layout, options);
}

function isOffline(value: string | undefined): boolean {
  return ['1', 'true', 'yes', 'on'].includes((value ?? '').toLowerCase());
}

// ---- without the network ------------------------------------------------------------------------------------------------

function cachedPath(id: ModelId, layout: CacheLayout): string {
  const ref = layout.ref(id.revision);
  const commit = isCommit(id.revision) ? id.revision : existsSync(ref) ? readFileSync(ref, 'utf8').trim() : '';
  const snapshot = layout.snapshot(commit);
  if (!isCommit(commit) || !existsSync(snapshot)) {
    const what = `${nameOf(id)} is not in the cache: expected it below ${layout.folder}`;
    throw new FormatError('hub', `${what}. Fetch it once without HF_HUB_OFFLINE.`, layout.folder);
  }
  const names = readdirSync(snapshot, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll(sep, '/'));
  const files = chooseFiles(names, nameOf(id), id.file);
  const all = files.includes(INDEX_FILE) ? [...files, ...shardsOf(join(snapshot, INDEX_FILE))] : files;
  for (const name of all) expectFile(join(snapshot, name));
  return pathIn(snapshot, files);
}

function expectFile(path: string): string {
  if (existsSync(path)) return path;
  throw new FormatError('hub', `${path} is missing from the cache. Fetch it once without HF_HUB_OFFLINE.`, path);
}

// ---- with it --------------------------------------------------------------------------------------------------------------

async function fetchSnapshot(id: ModelId, layout: CacheLayout, options: ResolveModelOptions): Promise<string> {
  const { hubUrl = process.env.HF_ENDPOINT || 'https://huggingface.co', signal } = options;
  const accessToken = options.accessToken ?? (process.env.HF_TOKEN || undefined);
  const asked = { repository: id.repository, hubUrl, accessToken, signal };
  const commit = await commitOf(id, asked);
  const remote: Remote = { ...asked, commit };
  const listed = await listRemote(id, remote);
  const chosen = chooseFiles([...listed.keys()], nameOf(id), id.file);
  const find = (name: string): RemoteFile => {
    checkFileName(name, nameOf(id));
    const file = listed.get(name);
    if (file !== undefined) return file;
    throw new FormatError(
      'hub',
      `${nameOf(id)}: ${INDEX_FILE} names ${name}: expected it in the repository, found none.`,
    );
  };
  const snapshot = layout.snapshot(commit);
  const fetchAll = async (names: readonly string[], onBytes: (file: string, count: number) => void) => {
    for (const file of names.map(find)) {
      await downloadFile(file, layout.blob(file.oid), remote, (count) => onBytes(file.path, count));
      await linkFile(layout.blob(file.oid), join(snapshot, file.path));
    }
  };
  const names = [...chosen];
  if (chosen.includes(INDEX_FILE)) {
    await fetchAll([INDEX_FILE], () => {});
    names.push(...shardsOf(join(snapshot, INDEX_FILE)));
  }
  const total = names.map(find).reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  await fetchAll(names, (file, count) => {
    done += count;
    options.onProgress?.({ file, done, total });
  });
  // Written last: a branch in the cache has all of its files.
  if (!isCommit(id.revision)) writeFileAtomically(layout.ref(id.revision), commit);
  return pathIn(snapshot, chosen);
}

type Asked = Omit<Remote, 'commit'>;

async function commitOf(id: ModelId, asked: Asked): Promise<string> {
  if (isCommit(id.revision)) return id.revision;
  const { repository, hubUrl, accessToken, signal } = asked;
  const { sha } = await ask(id, asked, () =>
    modelInfo({
      ...{ name: repository, revision: id.revision, hubUrl, accessToken, additionalFields: ['sha'] },
      fetch: (url, init) => fetch(url, { ...init, signal: signal ?? null }),
    }),
  );
  if (typeof sha === 'string' && isCommit(sha)) return sha;
  throw new FormatError(
    'hub',
    `${nameOf(id)}: expected the hash of a commit from ${hubUrl}, found ${JSON.stringify(sha)}.`,
  );
}

/** By name. What the server says becomes paths and sizes here, so all of it is checked. */
async function listRemote(id: ModelId, remote: Remote): Promise<Map<string, RemoteFile>> {
  const { repository, commit, hubUrl, accessToken, signal } = remote;
  const fail = (what: string): never => {
    throw new FormatError('hub', `${nameOf(id)}: the list of files from ${hubUrl}: ${what}.`);
  };
  const entries = listFiles({
    ...{ repo: { type: 'model', name: repository }, revision: commit, recursive: true, hubUrl, accessToken },
    fetch: (url, init) => fetch(url, { ...init, signal: signal ?? null }),
  });
  return await ask(id, remote, async () => {
    const files = new Map<string, RemoteFile>();
    for await (const { type, path, size, oid = '', lfs } of entries) {
      if (type !== 'file') continue;
      if (files.size === MAX_FILES) fail(`expected at most ${MAX_FILES} files`);
      const file = { path, size: lfs?.size ?? size, oid: lfs?.oid ?? oid, isLarge: lfs !== undefined };
      if (typeof path !== 'string' || !Number.isSafeInteger(file.size) || file.size < 0)
        fail('expected names and sizes');
      if (!(file.isLarge ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(file.oid)) {
        fail(`expected a hash of ${path}, found ${JSON.stringify(file.oid)}`);
      }
      files.set(path, file);
    }
    return files;
  });
}

/** Errors of the network and of the Hub become one line that says what to do. */
async function ask<T>(id: ModelId, { hubUrl, signal }: Asked, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof FormatError) throw error;
    const { statusCode } = error as { statusCode?: number };
    const why = statusCode === undefined ? rootMessage(error) : `status ${statusCode}, ${messageOf(error)}`;
    const advice = statusCode === undefined ? OFFLINE_ADVICE : (ADVICE[statusCode] ?? 'Try again later');
    throw new FormatError(
      'hub',
      `${nameOf(id)} cannot be found at ${hubUrl}: ${why.replace(/\.$/, '')}. ${advice}.`,
      undefined,
      {
        cause: error,
      },
    );
  }
}

const OFFLINE_ADVICE = 'Check the network, or use what is in the cache with HF_HUB_OFFLINE=1';
const PRIVATE_ADVICE = 'Check the name; for a model that is not public set HF_TOKEN';
const ADVICE: Readonly<Record<number, string>> = { 401: PRIVATE_ADVICE, 403: PRIVATE_ADVICE, 404: PRIVATE_ADVICE };

// ---- the cache ------------------------------------------------------------------------------------------------------------

/** The snapshot of a Hugging Face model, or the one file. */
function pathIn(snapshot: string, chosen: readonly string[]): string {
  return chosen.includes(CONFIG_FILE) ? snapshot : join(snapshot, chosen[0]);
}

function shardsOf(indexPath: string): string[] {
  try {
    return shardsIn(JSON.parse(readFileSync(indexPath, 'utf8')), indexPath);
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError('hub', `${indexPath}: expected JSON, found ${messageOf(error)}.`, indexPath);
  }
}

function nameOf({ repository, revision, file }: ModelId): string {
  return `${repository}${revision === 'main' ? '' : `@${revision}`}${file === null ? '' : `:${file}`}`;
}

/** `fetch failed` says nothing; what caused it does. */
function rootMessage(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? rootMessage(error.cause) : messageOf(error);
}
