/**
 * The pages in a real Chromium: with a server (a fake one that answers as `qsparse serve` does) and as files of a static site in a folder; what they show
 * and send, the keyboard, and no violation that axe-core finds, in light and dark, wide and as on a phone.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { load } from '../../src/load/load.ts';
import { chromiumMissing, launchChromium, openPage, overflow, violations } from '../support/chromium.ts';
import { type FakeRunFile, type FakeServer, fakeQsparseServer } from '../support/fake-qsparse-server.ts';
import { fakeRun } from '../support/fake-run.ts';
import { type StaticServer, serveFolders } from '../support/static-server.ts';
import { createTinyPacked, type TinyPacked } from '../support/tiny-packed.ts';

const PAGES = fileURLToPath(new URL('../../dist/web', import.meta.url));
const PROMPT = 'The quick brown';

const notBuilt = existsSync(PAGES) ? null : 'skipped, the pages are not built: npm run build';
const missing = notBuilt ?? chromiumMissing;

/** The lines of a run's metrics file. */
const metricsOf = (name: string, steps: number) =>
  fakeRun(name, steps, 'there was a fox.').records.map((record) => `${JSON.stringify(record)}\n`);

const textOf = async (page: Page, selector: string) => ((await page.textContent(selector)) ?? '').trim();

describe.skipIf(missing !== null)(`the pages${missing ? ` (${missing})` : ''}`, () => {
  let browser: Browser;
  let fake: FakeServer;
  let served: StaticServer;
  let site: StaticServer;
  let packed: TinyPacked;
  let live: FakeRunFile;
  beforeAll(async () => {
    live = { name: 'live run', isLive: true, text: metricsOf('live run', 40).join('') };
    const runs = [live, { name: 'ended', isLive: false, text: metricsOf('ended', 60).join('') }];
    fake = fakeQsparseServer(runs);
    packed = await createTinyPacked();
    served = await serveFolders({
      folders: { '/': PAGES },
      handle: (request, response) => fake.handle(request, response),
    });
    site = await serveFolders({ folders: { '/some/folder/model/': packed.directory, '/some/folder/': PAGES } });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await served?.close();
    await site?.close();
    packed?.remove();
  });

  describe('the playground, with a server', () => {
    it('writes sparse and dense, and says what it took, what changed and what each token kept', async () => {
      const { page, errors, close } = await openPage(browser);
      await page.goto(served.url);
      await page.waitForSelector('#run:not([disabled])');
      expect(await textOf(page, '#model-title')).toBe('tiny');
      await page.fill('#prompt', 'Once');
      await page.locator('#sparsity').fill('70');
      await page.keyboard.press('Tab');
      await page.focus('#prompt');
      await page.keyboard.press('Control+Enter');
      await page.waitForFunction("document.getElementById('verdict').textContent !== ''");

      const shares = { qkv: 0.7, o: 0.7, gateUp: 0.7, down: 0.7 };
      const [sparse, dense] = fake.requests.slice(-2);
      expect(sparse).toMatchObject({ prompt: 'Once', model: 'tiny', sparsity: shares, stream: true, temperature: 0 });
      expect(sparse).toMatchObject({ qsparse: { details: true }, stream_options: { include_usage: true } });
      expect(dense.sparsity).toEqual({ qkv: 0, o: 0, gateUp: 0, down: 0 });

      // 40 tokens, every fourth of them another one.
      expect(await textOf(page, '#verdict')).toBe(
        '10 ms a token sparse, 20 ms dense: 2.00 times as fast. 10 of 40 tokens changed (25 %), the first is number 4.',
      );
      expect(await page.locator('.run').first().locator('.token.changed').count()).toBe(10);
      const first = page.locator('.run').first();
      expect((await first.locator('.tiles').textContent())!.replace(/\s+/g, ' ')).toMatch(
        /tokens\/s100.*a token10 ms.*zeros55\.0 %.*parameters used450 k/,
      );
      expect(await first.locator('.parts').textContent()).toMatch(/selection1 ms · 10 %products5 ms · 50 %/);
      expect(await first.locator('canvas').getAttribute('aria-label')).toMatch(
        /^Kept inputs over 39 tokens: 50 % on average; layer 0 the fewest, 35 %, layer 3 the most, 65 %$/,
      );
      // Token 1 has no column; of number 6 and of the last one a pixel: 0.3 + 0.1 layer + 0.05 (index % 3).
      const picture = "document.querySelector('.run canvas').getContext('2d')";
      const pixel = (token: number, layer: number) =>
        page.evaluate(`${picture}.getImageData(${token}, ${layer}, 1, 1).data[3] / 255`);
      expect(await pixel(0, 2)).toBe(0);
      expect(await pixel(5, 2)).toBeCloseTo(0.6, 1.5);
      expect(await pixel(39, 1)).toBeCloseTo(0.4, 1.5);
      await first.locator('.text').focus();
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      expect(await first.locator('.at-text').textContent()).toMatch(
        /^Token 2, .* 10 ms; kept 50\.0 %, by layer 35 %, 45 %/,
      );
      expect(errors).toEqual([]);
      await close();
    });

    it('converses, and takes back a question that failed', async () => {
      const { page, close } = await openPage(browser);
      await page.goto(served.url);
      await page.waitForSelector('#run:not([disabled])');
      await page.uncheck('#compare');
      await page.check('input[value="chat"]', { force: true });
      await page.fill('#prompt', 'Hello?');
      await page.click('#run');
      await page.waitForSelector('#run:not([disabled])');
      await page.waitForFunction("document.querySelectorAll('.turn').length === 2");
      await page.fill('#prompt', 'And then?');
      fake.refusal = { status: 429, message: 'All places are taken. Try again in 2 s.' };
      await page.click('#run');
      await page.waitForSelector('#run-error:not([hidden])');
      expect(await textOf(page, '#run-error')).toBe('All places are taken. Try again in 2 s.');
      expect(await page.locator('.turn').count()).toBe(2);
      await page.click('#run');
      await page.waitForFunction("document.querySelectorAll('.turn').length === 4");
      const { messages } = fake.requests.at(-1) as { messages: { role: string; content: string }[] };
      expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
      expect(messages[2].content).toBe('And then?');
      // Stopped before its first word: no answer, and the question can be asked again.
      await page.route('**/chat/completions', () => {});
      await page.fill('#prompt', 'Then?');
      await page.click('#run');
      await page.click('#stop');
      await page.waitForSelector('#run:not([disabled])');
      expect(await page.locator('.turn').count()).toBe(4);
      expect(await page.inputValue('#prompt')).toBe('Then?');
      await close();
    });

    it('stops, loads a model of the server and unloads one', async () => {
      const { page, close } = await openPage(browser);
      await page.goto(served.url);
      await page.waitForSelector('#run:not([disabled])');
      fake.tokenMs = 60;
      await page.fill('#prompt', 'Once');
      await page.uncheck('#compare');
      await page.click('#run');
      await page.waitForFunction("document.querySelectorAll('.token').length > 2");
      await page.click('#stop');
      await page.waitForSelector('#run:not([disabled])');
      fake.tokenMs = 1;
      expect(await page.locator('.run header').textContent()).toMatch(/stopped · \d+ tokens/);
      expect(await page.locator('.token').count()).toBeLessThan(40);
      await page.click('#choose');
      await page.locator('#model-list li', { hasText: 'other' }).getByRole('button', { name: 'Load and use' }).click();
      await page.waitForFunction("document.getElementById('model-title').textContent === 'other'");
      // It has a chat template, so that the page is in the mode of conversations.
      expect(await page.isChecked('input[value="chat"]')).toBe(true);
      await page.click('#choose');
      await page.getByRole('button', { name: 'Unload other' }).click();
      await page
        .locator('#model-list li', { hasText: 'other' })
        .getByRole('button', { name: 'Load and use' })
        .waitFor();
      await close();
    });
  });

  describe('the playground, as a static site', () => {
    const withModel = () => `${site.url}some/folder/index.html?model=model/`;

    it('runs the model in the page: the text of Node, kept for the next visit', async () => {
      const model = await load(packed.directory);
      let expected = '';
      for await (const { text } of model.generate(PROMPT, {
        temperature: 0,
        maxTokens: 20,
        sparsity: { qkv: 0.8, o: 0.8, gateUp: 0.8, down: 0.8 },
      }))
        expected += text;
      await model.dispose();

      const { page, errors, requests, close } = await openPage(browser);
      await page.goto(withModel());
      await page.waitForSelector('#run:not([disabled])');
      await page.locator('#sparsity').fill('80');
      await page.locator('summary', { hasText: 'Sampling' }).click();
      await page.fill('#max-tokens', '20');
      await page.fill('#prompt', PROMPT);
      await page.click('#run');
      await page.waitForFunction("document.getElementById('verdict').textContent !== ''");
      const tokens = await page.locator('.run').first().locator('.token').allTextContents();
      expect(tokens.join('')).toBe(expected);
      expect(await textOf(page, '#verdict')).toMatch(/ms a token sparse, .* dense: .* times as fast\. .* tokens/);

      // The second visit asks whether the file is the same and takes what was kept; the third finds no server.
      const asked = () => site.asked.filter((path) => path.endsWith('model.safetensors')).length;
      const before = asked();
      await page.reload();
      await page.waitForSelector('#run:not([disabled])');
      expect(asked()).toBe(before + 1);
      expect(await textOf(page, '#model-status')).toBe('');
      await page.context().route('**/model/**', (route) => route.abort());
      await page.reload();
      await page.waitForSelector('#run:not([disabled])');
      expect(await textOf(page, '#model-status')).toMatch(/cannot fetch .* Using what was kept of an earlier visit/);
      await page.click('#choose');
      await page.locator('#kept summary').click();
      await page.getByRole('button', { name: /Remove .*model\.safetensors/ }).click();
      await page.waitForFunction("!document.getElementById('kept-list').textContent.includes('safetensors')");

      const origin = new URL(site.url).origin;
      expect(requests.filter((url) => !url.startsWith(origin) && !url.startsWith('blob:'))).toEqual([]);
      expect(errors.filter((error) => !/404|ERR_FAILED/.test(error))).toEqual([]);
      await close();
    });

    it('frees the room of what was never fetched to its end', async () => {
      const { page, close } = await openPage(browser);
      await page.goto(`${site.url}some/folder/index.html`);
      const folder = "(await navigator.storage.getDirectory()).getDirectoryHandle('qsparse', { create: true })";
      await page.evaluate(`(async () => {
        const file = await (await ${folder}).getFileHandle('unfinished', { create: true });
        const stream = await file.createWritable();
        await stream.write('half of a model');
        await stream.close();
      })()`);
      await page.goto(withModel());
      await page.waitForSelector('#run:not([disabled])');
      const names = (await page.evaluate(`(async () => {
        const names = [];
        for await (const name of (await ${folder}).keys()) names.push(name);
        return names;
      })()`)) as string[];
      expect(names).not.toContain('unfinished');
      expect(names.filter((name) => name.endsWith('.json')).length).toBeGreaterThan(2);
      await close();
    });

    it('gives up loading where it is told to', async () => {
      const { page, close } = await openPage(browser);
      // Answered never.
      await page.context().route('**/model/model.safetensors', () => {});
      await page.goto(withModel());
      await page.waitForSelector('#cancel-load:visible');
      await page.click('#cancel-load');
      await page.waitForFunction("document.getElementById('loading').hidden");
      expect(await textOf(page, '#model-status')).toBe('Loading was cancelled.');
      expect(await page.isEnabled('#run')).toBe(false);
      await close();
    });

    it('takes dropped files, and says what is wrong with others', async () => {
      const { page, close } = await openPage(browser);
      await page.goto(`${site.url}some/folder/index.html`);
      await page.setInputFiles('#files', join(packed.directory, 'config.json'));
      await page.waitForSelector('#model-status .error');
      expect(await textOf(page, '#model-status')).toMatch(
        /these files are no model: expected one \.gguf file, or config\.json/,
      );
      const names = ['config.json', 'tokenizer.json', 'model.safetensors'];
      await page.setInputFiles(
        '#files',
        names.map((name) => join(packed.directory, name)),
      );
      await page.waitForSelector('#run:not([disabled])');
      expect(await textOf(page, '#model-title')).toBe('dropped model');
      await page.click('#choose');
      await page.fill('#url', 'nowhere/');
      await page.keyboard.press('Enter');
      await page.waitForSelector('#model-status .error');
      expect(await textOf(page, '#model-status')).toMatch(/nowhere\/config\.json does not exist/);
      // What was loaded before is still there.
      expect(await page.isEnabled('#run')).toBe(true);
      await close();
    });
  });

  describe('the dashboard', () => {
    it('shows the runs of the server over each other, and what comes to a live one', async () => {
      const { page, errors, close } = await openPage(browser);
      await page.goto(`${served.url}dashboard.html`);
      await page.waitForSelector('.uplot');
      const row = page.locator('.overview tbody tr').first();
      expect(await row.textContent()).toMatch(/live runrunning40 of 100/);
      // fakeRun: the loss falls as 2 + 6 / step.
      expect(await row.textContent()).toContain((2 + 6 / 40 + 0.1).toFixed(4));
      const titles = await page.locator('.chart h2').allTextContents();
      for (const title of ['Loss', 'Gradient norm', 'Zeros', 'Speed']) expect(titles).toContain(title);
      expect(await page.locator('.u-legend').first().textContent()).toMatch(/live run.*ended/);
      expect(await page.locator('#heats canvas').count()).toBe(4);
      expect(await page.locator('#parts .bar').first().getAttribute('aria-label')).toMatch(/forward 150 ms/);
      expect(await textOf(page, '#samples')).toContain('there was a fox.');
      // Who stands at a run with the keyboard, has opened a sample or looks at a plot keeps that while the run goes on.
      await row.getByRole('checkbox').focus();
      await page.evaluate("document.querySelector('.uplot').dataset.seen = 'yes'");
      live.text += metricsOf('live run', 50).slice(-15).join('');
      await page.waitForFunction("/50 of 100/.test(document.querySelector('.overview').textContent)");
      expect(await page.evaluate("document.activeElement.closest('tr')?.textContent")).toMatch(/^live run/);
      expect(await page.locator('.uplot').first().getAttribute('data-seen')).toBe('yes');
      await page.locator('#samples summary').first().click();
      live.text += metricsOf('live run', 60).slice(-15).join('');
      await page.waitForFunction("/60 of 100/.test(document.querySelector('.overview').textContent)");
      expect(await page.locator('#samples details[open]').count()).toBe(1);
      await page.check('input[value="seconds"]', { force: true });
      expect(await page.locator('.u-legend').first().textContent()).toMatch(/^seconds/);
      await row.getByRole('checkbox').uncheck();
      await page.waitForFunction("!/live run/.test(document.querySelector('.u-legend').textContent)");
      expect(errors).toEqual([]);
      await close();
    });

    it('reads files that somebody opens, without any server', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'qsparse-metrics-'));
      const { page, close } = await openPage(browser);
      await page.goto(`${site.url}some/folder/dashboard.html`);
      writeFileSync(join(folder, 'broken.jsonl'), 'no json\n{}\n');
      writeFileSync(join(folder, 'mine.jsonl'), metricsOf('mine', 30).join(''));
      await page.setInputFiles(
        '#files',
        ['broken.jsonl', 'mine.jsonl'].map((name) => join(folder, name)),
      );
      await page.waitForSelector('.uplot');
      expect(await textOf(page, '#error')).toMatch(/broken\.jsonl:1 is not JSON/);
      expect(await textOf(page, '.overview tbody')).toMatch(/^mine30/);
      rmSync(folder, { recursive: true });
      await close();
    });
  });

  it('the law follows its sliders and fits a table of runs', async () => {
    const { page, errors, close } = await openPage(browser);
    await page.goto(`${site.url}some/folder/law.html`);
    await page.locator('#sparsity').fill('0');
    // By hand, of the printed constants: dense, N = 8.4e8 in the middle of 1e7 .. 7e11 by its logarithm.
    const size = 10 ** (7 + 0.5 * Math.log10(7e11 / 1e7));
    const loss = 1.86 + (0.01 + 1.89 * Math.exp(0.05)) / (size / 1e8) ** 0.1;
    expect(await textOf(page, '#words')).toContain(loss.toFixed(4));
    const rows = [1e6, 4e6, 1.6e7].flatMap((n) =>
      [0, 0.4, 0.7].map((s) => `${n},${s},${2 + (0.5 + 2 * Math.exp(0.1 / (1 - s))) / (n / 1e6) ** 0.3}`),
    );
    const buffer = Buffer.from(`parameters,sparsity,loss\n${rows.join('\n')}\n`);
    await page.setInputFiles('#runs', { name: 'runs.csv', mimeType: 'text/csv', buffer });
    await page.waitForFunction("/9 runs/.test(document.getElementById('law').selectedOptions[0].text)", undefined, {
      timeout: 60_000,
    });
    expect(await textOf(page, '#fit-status')).toMatch(/E 2(\.0\d*)?, .*alpha 0\.(30*|29\d+|30\d+)/);
    expect(errors).toEqual([]);
    await close();
  });

  it('have no violation that axe-core finds, and fit on a phone, in light and in dark', async () => {
    for (const [width, dark] of [
      [1280, false],
      [390, true],
    ] as const) {
      const { page, close } = await openPage(browser, { width, dark });
      for (const name of ['index.html', 'dashboard.html', 'law.html']) {
        await page.goto(served.url + name);
        if (name === 'dashboard.html') await page.waitForSelector('.uplot');
        if (name === 'index.html') {
          await page.waitForSelector('#run:not([disabled])');
          await page.fill('#prompt', 'Once');
          await page.click('#run');
          await page.waitForFunction("document.getElementById('verdict').textContent !== ''");
          await page.click('#choose');
        }
        expect(await violations(page), `${name}, ${width} pixels, ${dark ? 'dark' : 'light'}`).toEqual([]);
        expect(await overflow(page), `${name}, ${width} pixels`).toBe(0);
      }
      await close();
    }
  });

  it('change their theme by the button of the header, and keep it', async () => {
    const { page, close } = await openPage(browser);
    await page.goto(`${site.url}some/folder/law.html`);
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await page.click('#theme');
    expect(await background()).toBe(light);
    await page.click('#theme');
    expect(await background()).not.toBe(light);
    await page.goto(`${site.url}some/folder/dashboard.html`);
    expect(await textOf(page, '#theme')).toBe('Theme: dark');
    await close();
  });

  it('name no place outside of their own folder', () => {
    for (const name of ['index.html', 'dashboard.html', 'law.html']) {
      const html = readFileSync(join(PAGES, name), 'utf8');
      for (const [, url] of html.matchAll(/(?:src|href)="([^"#]+)"/g)) expect(url, name).toMatch(/^\.\//);
    }
  });
});
