/** The server and the browser's life, with a program of a few lines in place of Chromium. */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askPage, chromiumFile } from './chromium.mjs';

let folder;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'browser-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A browser that runs `text`, where `url` is the page's and `ask(path)` gives what is served there. */
function browser(name, text) {
  const file = path.join(folder, `${name}.mjs`);
  const url = 'const url = new URL(process.argv.at(-1)); const ask = (path, more) => fetch(new URL(path, url), more);';
  const answer = `const answer = (value) => ask('/answer', { method: 'POST', body: JSON.stringify(value) });`;
  writeFileSync(file, `#!${process.execPath}\n${url}\n${answer}\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

describe('askPage', () => {
  it('serves the isolated page and the question, gives the answer, and ends a browser that stays', async () => {
    const file = browser(
      'stays',
      `const page = await ask(url);
      const headers = ['opener', 'embedder'].map((one) => page.headers.get('cross-origin-' + one + '-policy'));
      const { twice } = await (await ask('/question')).json();
      const worker = (await page.text()).includes('bench-worker.mjs');
      await answer({ value: { headers, worker, twice: 2 * twice } });
      setInterval(() => {}, 1000);`,
    );
    expect(await askPage(file, 'bench/chromium/page.html', { twice: 21 })).toEqual({
      headers: ['same-origin', 'require-corp'],
      worker: true,
      twice: 42,
    });
  });

  it('serves what the page needs and nothing else', async () => {
    const file = browser(
      'curious',
      `const paths = ['/bench/chromium/bench-worker.mjs', '/package.json', '/dist/../package.json', '/dist/%2e%2e/package.json', '/bench/chromium/'];
      await answer({ value: await Promise.all(paths.map(async (path) => (await ask(path)).status)) });`,
    );
    expect(await askPage(file, 'bench/chromium/page.html', {})).toEqual([200, 404, 404, 404, 404]);
  });

  it('throws what the page throws, and what a browser says that ends before', async () => {
    const throws = browser('throws', `await answer({ error: 'no memory' });`);
    await expect(askPage(throws, 'page', {})).rejects.toThrow('no memory');
    const dies = browser('dies', `console.error('libnss3.so is missing'); process.exit(3);`);
    await expect(askPage(dies, 'page', {})).rejects.toThrow(/ended before .*exit code 3\. libnss3\.so is missing/);
    await expect(askPage(path.join(folder, 'none'), 'page', {})).rejects.toThrow(/ENOENT/);
  });
});

it('takes the Chromium that is named', () => {
  expect(chromiumFile(process.execPath)).toBe(process.execPath);
  expect(() => chromiumFile(path.join(folder, 'none'))).toThrow(/does not exist: expected a program of Chromium/);
});
