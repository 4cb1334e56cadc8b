/**
 * A server on this machine that answers like the Hub: a model's commit, the list of its files, and their contents with ranges and redirects, so
 * that fetching is tested without a network. What it does wrong is told to it.
 */

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeFile {
  path: string;
  content: Buffer;
  /** As LFS: the hash is a SHA-256, and the contents come from another address. */
  large?: boolean;
}

export interface FakeHub {
  readonly url: string;
  /** Paths that were asked for, with the range where there was one. */
  readonly requests: string[];
  /** What each of them brought to be let in, by path. */
  readonly authorizations: [path: string, authorization: string | undefined][];
  commit: string;
  files: FakeFile[];
  /** Connections end after that many bytes of contents, one for each number. */
  cuts: number[];
  /** Contents that are sent in the place of others, by path. */
  readonly damaged: Map<string, Buffer>;
  /** Answered to every request, where it is set. */
  status: number | null;
  /** The same for contents alone. */
  contentStatus: number | null;
  ignoreRanges: boolean;
  close(): Promise<void>;
}

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');

/** The hash of Git: what `git hash-object` prints. */
function gitHash(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

export async function startFakeHub(repository: string): Promise<FakeHub> {
  // Large contents are at another address, as those of the Hub are.
  const [hubServer, storeServer] = [false, true].map((isStore) =>
    createServer((request, response) =>
      answer(hub, repository, isStore ? null : addressOf(storeServer), request, response),
    ),
  );
  for (const server of [hubServer, storeServer])
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const hub: FakeHub = {
    url: addressOf(hubServer),
    ...{
      requests: [],
      authorizations: [],
      commit: '1'.repeat(40),
      files: [],
      cuts: [],
      damaged: new Map(),
      status: null,
      contentStatus: null,
      ignoreRanges: false,
    },
    async close() {
      for (const server of [hubServer, storeServer]) {
        await new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        });
      }
    },
  };
  return hub;
}

const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** `storeUrl`: where the hub sends those who ask for large contents; null: this is the store. */

function answer(
  hub: FakeHub,
  repository: string,
  storeUrl: string | null,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = decodeURIComponent((request.url ?? '').split('?')[0]);
  const { range, authorization } = request.headers;
  hub.authorizations.push([path, authorization]);
  hub.requests.push(range === undefined ? path : `${path} ${range}`);
  const json = (status: number, value: object) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  const store = '/store/';
  const place = storeUrl === null ? store : `/${repository}/resolve/${hub.commit}/`;
  const file = hub.files.find((one) => path.startsWith(place) && one.path === path.slice(place.length));
  if (hub.status !== null) json(hub.status, { error: 'as told' });
  else if (path.startsWith(`/api/models/${repository}/revision/`)) json(200, { id: repository, sha: hub.commit });
  else if (path === `/api/models/${repository}/tree/${hub.commit}`) json(200, hub.files.map(entryOf));
  else if (hub.contentStatus !== null) json(hub.contentStatus, { error: 'as told' });
  else if (file === undefined) json(404, { error: 'Repository or file not found' });
  else if (file.large && storeUrl !== null) {
    const headers = { location: `${storeUrl}${store}${file.path}`, 'x-linked-etag': `"${sha256(file.content)}"` };
    response.writeHead(302, headers).end();
  } else sendContent(hub, file, range, response);
}

function entryOf({ path, content, large }: FakeFile): object {
  const entry = { type: 'file', path, size: content.length, oid: gitHash(content) };
  return large ? { ...entry, lfs: { oid: sha256(content), size: content.length, pointerSize: 134 } } : entry;
}

function sendContent(hub: FakeHub, file: FakeFile, range: string | undefined, response: ServerResponse): void {
  const content = hub.damaged.get(file.path) ?? file.content;
  const match = hub.ignoreRanges && range !== 'bytes=0-0' ? null : /^bytes=(\d+)-(\d+)$/.exec(range ?? '');
  const [first, last] = match === null ? [0, content.length - 1] : [Number(match[1]), Number(match[2])];
  const part = content.subarray(first, last + 1);
  const headers = { etag: `"${sha256(content)}"`, 'content-length': part.length };
  const ofAll = { 'content-range': `bytes ${first}-${last}/${content.length}` };
  response.writeHead(match === null ? 200 : 206, match === null ? headers : { ...headers, ...ofAll });
  const cut = range === 'bytes=0-0' ? undefined : hub.cuts.shift();
  if (cut === undefined) response.end(part);
  else response.write(part.subarray(0, cut), () => setTimeout(() => response.destroy(), 20));
}
