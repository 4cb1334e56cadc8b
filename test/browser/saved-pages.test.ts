/**
 * The pages in one file that `qsparse report` and `qsparse law page` write, opened from the disk in a real Chromium: what they draw, what their
 * controls do, and no violation that axe-core finds.
 */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildLawPage } from '../../src/report/build-law-page.ts';
import { buildReport } from '../../src/report/build-report.ts';
import { chromiumMissing, launchChromium, openPage, overflow, violations } from '../support/chromium.ts';
import { fakeRun } from '../support/fake-run.ts';

const notBuilt = existsSync(fileURLToPath(new URL('../../dist/pages', import.meta.url)))
  ? null
  : 'skipped, the pages are not built: npm run build';
const missing = notBuilt ?? chromiumMissing;

const folder = mkdtempSync(join(tmpdir(), 'qsparse-saved-'));
const LAWS = [
  {
    ...{ name: 'of the test', constants: { E: 1, B: 0.5, C: 2, alpha: 0.3, beta: 0.1 } },
    ...{ sizeUnit: 1e6, sizes: [1e6, 1e8] as const, lossUnit: 'nats' },
  },
  {
    ...{ name: 'zeros are free', constants: { E: 1, B: 1, C: 1e-9, alpha: 0.3, beta: 0.1 } },
    ...{ sizeUnit: 1e6, sizes: [1e6, 1e8] as const, lossUnit: '' },
  },
];

function save(name: string, html: string): string {
  writeFileSync(join(folder, name), html);
  return pathToFileURL(join(folder, name)).href;
}

const textOf = async (page: Page, selector: string) => ((await page.textContent(selector)) ?? '').trim();

describe.skipIf(missing !== null)(`pages in one file${missing ? ` (${missing})` : ''}`, () => {
  let browser: Browser;
  const urls = { report: '', law: '' };
  beforeAll(async () => {
    urls.report = save('report.html', buildReport([fakeRun('dense', 60), fakeRun('sparse', 60, 'there was.')]));
    urls.law = save('law.html', buildLawPage(LAWS));
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });

  it('the report draws its curves in a browser without a language too', async () => {
    const { page, errors, close } = await openPage(browser);
    await page.addInitScript(
      "Object.defineProperty(navigator, 'language', { value: 'en-US@posix', configurable: true })",
    );
    await page.goto(urls.report);
    expect(await page.locator('.uplot').count()).toBe(await page.locator('.chart').count());
    expect(errors).toEqual([]);
    await close();
  });

  it('the report draws its curves, and its layers at the record of the slider', async () => {
    const { page, errors, close } = await openPage(browser);
    await page.goto(urls.report);
    const titles = await page.locator('.chart h3').allTextContents();
    for (const title of ['Loss', 'Gradient norm', 'Zeros', 'Speed']) expect(titles).toContain(title);
    expect(await page.locator('.uplot').count()).toBe(titles.length);
    const legend = page.locator('.u-legend').first();
    expect(await legend.textContent()).toMatch(/^tokens.*dense: training.*sparse: validation/);
    await page.check('input[value="seconds"]', { force: true });
    expect(await legend.textContent()).toMatch(/^seconds/);
    await page.check('input[name="skip-start"]');

    const table = page.locator('#heat-1');
    const { zeros, layers } = detailOf(fakeRun('sparse', 60), -1);
    expect(await table.locator('tbody tr').count()).toBe(layers);
    expect(await table.locator('thead tr').first().textContent()).toMatch(/^zeros, %energy kept, %gradient norm/);
    // Behind the name of the layer and a gap.
    expect(await table.locator('tbody tr').last().locator('td').nth(1).textContent()).toBe((100 * zeros).toFixed(1));
    await page.locator('#heat-step-1').fill('0');
    const first = detailOf(fakeRun('sparse', 60), 0);
    expect(await textOf(page, '#heat-at-1')).toBe(`step ${first.step}`);
    expect(await table.locator('tbody tr').last().locator('td').nth(1).textContent()).toBe(
      (100 * first.zeros).toFixed(1),
    );
    expect(errors).toEqual([]);
    await close();
  });

  it('a report of nothing has no curves and no error', async () => {
    const { page, errors, close } = await openPage(browser);
    await page.goto(save('empty.html', buildReport([{ name: 'new', records: [] }])));
    expect(await textOf(page, 'main')).toContain('No steps have been recorded yet.');
    expect(errors).toEqual([]);
    await close();
  });

  it('the law follows its sliders, and another law keeps their places', async () => {
    const { page, errors, close } = await openPage(browser);
    await page.goto(urls.law);
    await page.locator('#sparsity').fill('0');
    // By hand: dense, N = 1e7 in the middle of 1e5 .. 1e9 by its logarithm.
    const loss = 1 + (0.5 + 2 * Math.exp(0.1)) / 10 ** 0.3;
    expect(await textOf(page, '#words')).toContain(`loss${loss.toFixed(4)} nats`);
    expect(await textOf(page, '#size-value')).toBe('10 M');
    expect(await page.locator('#curves svg .optimum').count()).toBe(1);
    await page.selectOption('#law', { label: 'zeros are free' });
    expect(await textOf(page, '#words')).toContain(`loss${(1 + 1 / 10 ** 0.3).toFixed(4)}`);
    expect(await textOf(page, '#words')).toContain('best sparsity for this priceabove 90 %');
    expect(await page.locator('#curves svg .optimum').count()).toBe(0);
    await page.locator('#size').fill('1000');
    expect(await textOf(page, '#outside')).toBe('Outside of the sizes that the law was fitted to (1 M to 100 M).');
    expect(errors).toEqual([]);
    await close();
  });

  it('have no violation that axe-core finds, fit on a phone, and ask no network', async () => {
    for (const [width, dark] of [
      [1280, false],
      [390, true],
    ] as const) {
      const { page, requests, close } = await openPage(browser, { width, dark });
      for (const [name, url] of Object.entries(urls)) {
        await page.goto(url);
        expect(await violations(page), `${name}, ${width} pixels, ${dark ? 'dark' : 'light'}`).toEqual([]);
        expect(await overflow(page), `${name}, ${width} pixels`).toBe(0);
      }
      expect(requests).toEqual(Object.values(urls));
      await close();
    }
  });
});

/** Of the detail record `at` of a run: its step, the layers, and the zeros before q, k and v in the last of them. */
function detailOf(run: ReturnType<typeof fakeRun>, at: number) {
  const details = run.records.flatMap((record) => (record.type === 'detail' ? [record] : []));
  const { step, sparsity } = details.at(at)!;
  return { step, layers: sparsity.qkv.length, zeros: sparsity.qkv.at(-1)! };
}
