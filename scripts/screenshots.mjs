/**
 * Pictures of the pages of a running server, as README shows them: `qsparse serve MODEL --runs DIR`, then
 *
 *     node scripts/screenshots.mjs --url http://127.0.0.1:8080/ --out docs/pictures
 *
 * What they show is what the server really does: a prompt is written to the end before the picture is taken. Options: --prompt TEXT, --tokens N,
 * --sparsity PERCENT, --model URL (a model that runs in the page instead of the server's), --page NAME (one of the three), --chromium FILE, --all (phones and dark
 * as well).
 */

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { chromiumFile } from '../bench/lib/chromium.mjs';

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8080/' },
    out: { type: 'string', default: 'docs/pictures' },
    prompt: { type: 'string', default: 'Once upon a time, there was a little girl named Lily.' },
    tokens: { type: 'string', default: '96' },
    sparsity: { type: 'string' },
    model: { type: 'string' },
    chromium: { type: 'string' },
    all: { type: 'boolean', default: false },
    page: { type: 'string' },
  },
});

/** As much of a page as README shows; with --all whole pages. */
const WIDE = { width: 1280, height: 1240 };
const PHONE = { width: 390, height: 844 };
/** Longest time that a model may take to be loaded, and to write a text twice. */
const LOAD_MS = 120_000;
const WRITE_MS = 300_000;

async function playground(page) {
  const query = values.model === undefined ? '' : `?model=${encodeURIComponent(values.model)}`;
  await page.goto(new URL(`index.html${query}`, values.url).href);
  await page.waitForSelector('#run:not([disabled])', { timeout: LOAD_MS });
  await page.locator('summary', { hasText: 'Sampling' }).click();
  await page.fill('#max-tokens', values.tokens);
  await page.locator('summary', { hasText: 'Sampling' }).click();
  if (values.sparsity !== undefined) await page.fill('#sparsity', values.sparsity);
  await page.check('input[value="completion"]', { force: true });
  await page.fill('#prompt', values.prompt);
  await page.click('#run');
  await page.waitForFunction("document.getElementById('verdict').textContent !== ''", undefined, { timeout: WRITE_MS });
}

async function dashboard(page) {
  await page.goto(new URL('dashboard.html', values.url).href);
  await page.waitForSelector('.uplot', { timeout: LOAD_MS });
}

async function law(page) {
  await page.goto(new URL('law.html', values.url).href);
  await page.waitForSelector('svg path');
}

const PAGES = Object.entries({ playground, dashboard, law }).filter(([name]) => (values.page ?? name) === name);

mkdirSync(values.out, { recursive: true });
const browser = await chromium.launch({
  executablePath: chromiumFile(values.chromium),
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  for (const [name, open] of PAGES) {
    for (const [size, viewport] of Object.entries(values.all ? { wide: WIDE, phone: PHONE } : { wide: WIDE })) {
      const context = await browser.newContext({
        viewport,
        locale: 'en-US',
        colorScheme: 'light',
      });
      const page = await context.newPage();
      await open(page);
      for (const colorScheme of values.all ? ['light', 'dark'] : ['light']) {
        await page.emulateMedia({ colorScheme });
        // Charts are drawn again in the colours of the theme.
        await page.waitForTimeout(300);
        const file = path.join(values.out, values.all ? `${name}-${size}-${colorScheme}.png` : `${name}.png`);
        await page.screenshot({ path: file, fullPage: values.all });
        console.log(file);
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
}
