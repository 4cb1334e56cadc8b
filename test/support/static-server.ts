/** A server of files of one or several folders for pages under test, with or without the headers that isolate a page. */

import { readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, sep } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

export interface StaticServer {
  /** With a slash at its end. */
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  close(): Promise<void>;
}

export interface StaticOptions {
  /** Folders by the path under which they are served, '/' the last. */
  folders: Readonly<Record<string, string>>;
  isolated?: boolean;
  /** Answers before files do: true where it did. */
  handle?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export async function serveFolders({ folders, isolated = true, handle }: StaticOptions): Promise<StaticServer> {
  const asked: string[] = [];
  const headers: Record<string, string> = isolated
    ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
    : {};
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    asked.push(pathname);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (handle?.(request, response)) return;
    const file = fileOf(folders, pathname);
    if (file === null) {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('not found');
      return;
    }
    const body = readFileSync(file);
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    const modified = statSync(file).mtime.toUTCString();
    response
      .writeHead(200, { 'Content-Type': type, 'Content-Length': body.length, 'Last-Modified': modified })
      .end(body);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  };
  return { url: `http://127.0.0.1:${port}/`, asked, close };
}

function fileOf(folders: StaticOptions['folders'], pathname: string): string | null {
  for (const [prefix, folder] of Object.entries(folders)) {
    if (!pathname.startsWith(prefix)) continue;
    const inside = decodeURIComponent(pathname.slice(prefix.length));
    const file = join(folder, inside.endsWith('/') || inside === '' ? `${inside}index.html` : inside);
    if (file.startsWith(folder + sep) && statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  }
  return null;
}
