/**
 * The package in a bundler and in a browser: three lines of a program, bundled by Vite as it comes, run in Chromium and write what Node writes.
 *
 * What is bundled is what npm would publish: the files that package.json names, not the working tree.
 */

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { build, createServer } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { load } from '../../src/load/load.ts';
import { chromiumMissing, launchChromium, openPage } from '../support/chromium.ts';
import { type StaticServer, serveFolders } from '../support/static-server.ts';
import { mainMissing } from '../support/tiny-checkpoint.ts';
import { createTinyPacked, type TinyPacked } from '../support/tiny-packed.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROMPT = 'The quick brown';
const TOKENS = 24;

/**
 * Program, Worker and kernels as a server sends them, compressed: 175 KB as measured, of which the kernels are 93 and the two libraries of tokenizers
 * and chat templates about 40. The room is for a kernel or a format more; a whole layer that a page does not need (training, files) exceeds it.
 */
const MOST_BYTES = 200_000;

const missing = mainMissing ?? chromiumMissing;

/** The program of somebody who has read one line of documentation. */
const PROGRAM = `import { load } from 'qsparse';
const model = await load(new URLSearchParams(location.search).get('model'), { onNotice: (line) => document.body.append('NOTICE ' + line) });
for await (const { text } of model.generate('${PROMPT}', { maxTokens: ${TOKENS}, temperature: 0 })) document.body.append(text);
document.title = JSON.stringify(model.info.threads);
`;

/** As npm would install it: package.json and what \`files\` names, as far as a browser can want it. */
function installPackage(project: string): void {
  const target = join(project, 'node_modules/qsparse');
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    files: string[];
    dependencies: Record<string, string>;
  };
  mkdirSync(target, { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(target, 'package.json'));
  for (const name of manifest.files.filter((file) => /^(dist|build)/.test(file))) {
    const filter = (file: string) => !file.endsWith('.map') && !file.includes('/dist/web');
    cpSync(join(ROOT, name), join(target, name), { recursive: true, filter });
  }
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(join(project, 'node_modules', name, '..'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
  }
}

describe.skipIf(missing !== null)(`the package in a page${missing ? ` (${missing})` : ''}`, () => {
  let folder: string;
  let browser: Browser;
  let isolated: StaticServer;
  let plain: StaticServer;
  let packed: TinyPacked;
  let expected: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-package-'));
    const project = join(folder, 'project');
    installPackage(project);
    writeFileSync(join(project, 'index.html'), '<!doctype html><body><script type="module" src="/main.js"></script>');
    writeFileSync(join(project, 'main.js'), PROGRAM);
    await build({ root: project, configFile: false, logLevel: 'error' });

    packed = await createTinyPacked();
    const model = await load(packed.directory);
    expected = '';
    for await (const { text } of model.generate(PROMPT, { maxTokens: TOKENS, temperature: 0 })) expected += text;
    await model.dispose();

    const folders = { '/model/': packed.directory, '/': join(project, 'dist') };
    isolated = await serveFolders({ folders });
    plain = await serveFolders({ folders, isolated: false });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await isolated?.close();
    await plain?.close();
    packed?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Text of the page and threads of the engine, once the program has ended. */
  async function runProgram(page: Page, url: string): Promise<{ text: string; threads: number }> {
    await page.goto(url);
    await page.waitForFunction("document.title !== ''", undefined, { timeout: 30_000 });
    return { text: (await page.textContent('body'))!.trim(), threads: Number(await page.title()) };
  }

  it('writes the text that Node writes, with threads where the page is isolated', async () => {
    const { page, errors, close } = await openPage(browser);
    const { text, threads } = await runProgram(page, `${isolated.url}?model=model`);
    expect(errors).toEqual([]);
    expect(text).toBe(expected.trim());
    expect(threads).toBe(await page.evaluate('navigator.hardwareConcurrency'));
    await close();
  });

  it('writes it on one thread where the page is not isolated', async () => {
    const { page, errors, close } = await openPage(browser);
    const { text, threads } = await runProgram(page, `${plain.url}?model=model/`);
    expect(errors).toEqual([]);
    expect(text).toBe(expected.trim());
    expect(threads).toBe(1);
    await close();
  });

  it('writes it from the development server too, which takes packages apart in another way', async () => {
    cpSync(packed.directory, join(folder, 'project/public/model'), { recursive: true });
    const root = join(folder, 'project');
    const server = await createServer({ root, configFile: false, logLevel: 'silent', server: { port: 0 } });
    await server.listen();
    const { page, errors, close } = await openPage(browser);
    try {
      const { text } = await runProgram(page, `${server.resolvedUrls!.local[0]}?model=model`);
      expect(text).toBe(expected.trim());
      expect(errors).toEqual([]);
    } finally {
      await close();
      await server.close();
    }
  });

  it('is small: what a page loads besides the model', () => {
    const assets = join(folder, 'project/dist/assets');
    const packed = readdirSync(assets).map((name) => gzipSync(readFileSync(join(assets, name))).length);
    expect(packed).toHaveLength(3);
    expect(packed.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(MOST_BYTES);
  });
});
