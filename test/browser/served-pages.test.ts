/**
 * The pages in Chromium with `qsparse serve` itself behind them, on tiny packed models and a real training run: what the fake server of
 * pages.test.ts stands for. Texts and zeros are those of Node, with the server and in the page alike. The server asks for a key.
 */

import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { load } from '../../src/load/load.ts';
import type { MetricsRecord } from '../../src/train/metrics.ts';
import { chromiumMissing, launchChromium, openPage } from '../support/chromium.ts';
import { type ServeProcess, startServe } from '../support/serve-process.ts';
import { type StaticServer, serveFolders } from '../support/static-server.ts';
import { mainMissing, runCommand } from '../support/tiny-checkpoint.ts';
import { createTinyPacked, type TinyPacked } from '../support/tiny-packed.ts';

const PAGES = fileURLToPath(new URL('../../dist/web', import.meta.url));
const KEY = 'open sesame';
const PROMPT = 'The quick brown';
const TOKENS = 24;
const STEPS = 20;

const notBuilt = existsSync(join(PAGES, 'index.html')) ? null : 'skipped, the pages are not built: npm run build';
const missing = mainMissing ?? notBuilt ?? chromiumMissing;

/** What the page shows of a text. */
interface Shown {
  text: string;
  zeros: string;
}

/** What Node writes, at one share at every point or as the model was trained. */
async function inNode(directory: string, share: number | null): Promise<Shown> {
  const model = await load(directory);
  const sparsity = share === null ? {} : { sparsity: { qkv: share, o: share, gateUp: share, down: share } };
  const pieces = model.generate(PROMPT, { temperature: 0, maxTokens: TOKENS, ...sparsity });
  let text = '';
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) {
      await model.dispose();
      return { text, zeros: `${(100 * value.sparsity!).toFixed(1)} %` };
    }
    text += value.text;
  }
}

/** Writes at a position of the slider (null: where it stands), beside dense; resolves to both texts once they are there. */
async function write(page: Page, share: number | null): Promise<Shown[]> {
  if (share !== null) await page.locator('#sparsity').fill(String(100 * share));
  await page.click('#run');
  await page.waitForFunction("document.getElementById('verdict').textContent !== ''");
  const runs = await page.locator('.run').all();
  return Promise.all(
    runs.map(async (run) => ({
      text: (await run.locator('.token').allTextContents()).join(''),
      zeros: (await run.locator('.tiles div', { hasText: 'zeros' }).locator('dd').textContent())!,
    })),
  );
}

async function fillForm(page: Page): Promise<void> {
  await page.waitForSelector('#run:not([disabled])');
  await page.locator('summary', { hasText: 'Sampling' }).click();
  await page.fill('#max-tokens', String(TOKENS));
  await page.fill('#prompt', PROMPT);
}

/** A page that has given its key. */
async function openServed(browser: Browser, url: string) {
  const opened = await openPage(browser);
  await opened.page.addInitScript(`sessionStorage.setItem('qsparse-key', '${KEY}')`);
  await opened.page.goto(url);
  return opened;
}

/** A run of `qsparse train`, in seconds. */
async function trainTinyRun(directory: string): Promise<void> {
  const text = join(directory, '..', 'text.txt');
  writeFileSync(text, 'The quick brown fox jumps over the lazy dog. The dog sleeps; the fox runs.\n'.repeat(300));
  const shape = '--dim 32 --layers 2 --heads 2 --vocab-size 280 --seq-len 32 --batch-size 2 --threads 1';
  const times = `--steps ${STEPS} --validate-every 10 --sample-every 10 --detail-every 5`;
  const { code, stderr } = await runCommand([
    'train',
    '--text',
    text,
    '--out',
    directory,
    ...`${shape} ${times}`.split(' '),
  ]);
  if (code !== 0) throw new Error(stderr);
}

describe.skipIf(missing !== null)(`the pages of qsparse serve${missing ? ` (${missing})` : ''}`, () => {
  let folder: string;
  let tiny: TinyPacked;
  let slow: TinyPacked;
  let server: ServeProcess;
  let site: StaticServer;
  let browser: Browser;
  const metricsOf = (run: string) => join(folder, 'runs', run, 'metrics.jsonl');
  const get = (path: string) => fetch(`${server.url}${path}`, { headers: { Authorization: `Bearer ${KEY}` } });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-served-pages-'));
    mkdirSync(join(folder, 'runs'));
    tiny = await createTinyPacked();
    // Its text does not end of itself.
    slow = await createTinyPacked('int8', { seqLen: 2000, nLayers: 6, dim: 128, hiddenDim: 512 });
    const models = [`tiny=${tiny.directory}`, `slow=${slow.directory}`, '--runs', join(folder, 'runs')];
    const starting = startServe(models, { apiKey: KEY, env: { QSPARSE_API_KEY: KEY } });
    await trainTinyRun(join(folder, 'runs/book'));
    server = await starting;
    site = await serveFolders({ folders: { '/model/': tiny.directory, '/': PAGES } });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await server?.stop('SIGKILL');
    tiny?.remove();
    slow?.remove();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  it('write the text and show the zeros of Node, from the server and in the page itself, as trained, sparser and dense', async () => {
    const dense = await inNode(tiny.directory, 0);
    const expected = [
      [await inNode(tiny.directory, null), dense],
      [await inNode(tiny.directory, 0.8), dense],
    ];
    // Three different texts, or there would be nothing to mix up.
    expect(new Set(expected.flat().map(({ text }) => text)).size).toBe(3);
    const served = await openServed(browser, server.url);
    const local = await openPage(browser);
    await local.page.goto(`${site.url}?model=model/`);
    for (const { page, errors } of [served, local]) {
      await fillForm(page);
      expect([await write(page, null), await write(page, 0.8)]).toEqual(expected);
      expect(await page.textContent('#verdict')).toMatch(
        /ms a token sparse, .* dense: .* times as fast\. \d+ of 24 tokens changed/,
      );
      expect(await page.locator('.run').first().locator('.parts').textContent()).toMatch(
        /selection.*products.*attention.*head/,
      );
      expect(errors.filter((error) => !/404/.test(error))).toEqual([]);
    }
    expect(await served.page.textContent('#model-facts')).toMatch(/int8.*on the server/);
    expect(await local.page.textContent('#model-facts')).toMatch(/int8.*wasm/);
    await served.close();
    await local.close();
  });

  it('ask for the key, and say why the server refuses', async () => {
    const { page, close } = await openPage(browser);
    await page.goto(server.url);
    await page.waitForSelector('#model-status .error');
    expect(await page.textContent('#model-status')).toMatch(/key/i);
    await page.fill('#key', KEY);
    await page.keyboard.press('Enter');
    await fillForm(page);
    expect(await page.locator('#model-status .error').count()).toBe(0);
    // This model came without the form of a conversation.
    await page.check('input[value="chat"]', { force: true });
    await page.click('#run');
    await page.waitForSelector('#run-error:not([hidden])');
    expect(await page.textContent('#run-error')).toMatch(/chat template/);
    await close();
  });

  it('stop a text, on the server too; unload its model and load it again', async () => {
    const { page, close } = await openServed(browser, server.url);
    const entry = page.locator('#model-list li', { hasText: 'slow' });
    const isLoaded = async () => {
      const models = (await (await get('/api/models')).json()) as { id: string; loaded: boolean }[];
      return models.find(({ id }) => id === 'slow')!.loaded;
    };
    const endedBy = async () =>
      /^qsparse_answers_total\{model="slow",cause="(\w+)"\} 1$/m.exec(await (await get('/metrics')).text())?.[1];
    await fillForm(page);
    await page.click('#choose');
    await entry.getByRole('button', { name: 'Use' }).click();
    await page.waitForFunction("document.getElementById('model-title').textContent === 'slow'");
    await page.uncheck('#compare');
    await page.fill('#max-tokens', '1900');
    // From within: a second later the whole text may be there.
    await page.evaluate(`new MutationObserver((_, observer) => {
      if (document.querySelectorAll('.token').length < 3) return;
      observer.disconnect();
      document.getElementById('stop').click();
    }).observe(document.getElementById('runs'), { childList: true, subtree: true })`);
    await page.click('#run');
    await page.waitForFunction("document.querySelectorAll('.token').length > 2");
    await page.waitForSelector('#run:not([disabled])');
    expect(await page.textContent('.run header')).toMatch(/stopped · \d+ tokens/);
    expect(await page.locator('.token').count()).toBeLessThan(1900);
    await expect.poll(endedBy, { timeout: 10_000 }).toBe('client');

    await page.click('#choose');
    await page.getByRole('button', { name: 'Unload slow' }).click();
    await entry.getByRole('button', { name: 'Load and use' }).waitFor();
    expect(await isLoaded()).toBe(false);
    await entry.getByRole('button', { name: 'Load and use' }).click();
    await page.waitForFunction("document.getElementById('chooser').hidden");
    expect(await isLoaded()).toBe(true);
    await close();
  });

  it('show a training run, and go on with one that trains', async () => {
    const lines = readFileSync(metricsOf('book'), 'utf8').split(/(?<=\n)/);
    const records = lines.map((line) => JSON.parse(line) as MetricsRecord);
    mkdirSync(join(folder, 'runs/live'));
    const half = 1 + records.findIndex(({ type, step }) => type === 'step' && step === STEPS / 2);
    writeFileSync(metricsOf('live'), lines.slice(0, half).join(''));
    const { page, close } = await openPage(browser);
    // It asks every three seconds: those of the page's clock.
    await page.clock.install();
    const until = async (condition: string) => {
      for (let i = 0; i < 200 && !(await page.evaluate(condition)); i++) {
        await page.clock.fastForward(1000);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect(await page.evaluate(condition)).toBe(true);
    };
    await page.goto(`${server.url}/dashboard.html`);
    await page.waitForSelector('#error:not([hidden])');
    await page.fill('#key', KEY);
    await page.keyboard.press('Enter');
    await until("document.querySelector('.uplot') !== null");
    expect(await page.isVisible('#error')).toBe(false);
    expect(await page.isVisible('#key')).toBe(false);
    const row = (name: string) => page.locator('.overview tbody tr', { hasText: name });
    const validated = records.filter((record) => record.type === 'validation');
    const best = Math.min(...validated.map(({ loss }) => loss));
    expect(await row('book').textContent()).toMatch(new RegExp(`^book${STEPS} of ${STEPS}.*${best.toFixed(4)}`));
    expect(await row('live').textContent()).toMatch(/^liverunning10 of 20/);
    expect(await page.locator('#heats canvas').count()).toBe(4);
    await page.context().setOffline(true);
    await until("/does not answer/.test(document.getElementById('live').textContent)");
    await page.context().setOffline(false);
    appendFileSync(metricsOf('live'), lines.slice(half).join(''));
    // It is through then, and its last lines come all the same.
    await until("/live20 of 20/.test(document.querySelector('.overview').textContent)");
    await close();
  });
});
