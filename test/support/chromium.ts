/** A real Chromium for tests, driven by playwright-core: that of bench/lib/chromium.mjs, or the reason why there is none. */

import { createRequire } from 'node:module';
import { type Browser, chromium, type Page } from 'playwright-core';
import { chromiumFile } from '../../bench/lib/chromium.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** The file of Chromium, installed the first time; or why it cannot be had (another system, no network). */
function findChromium(): { file: string | null; reason: string | null } {
  try {
    return { file: chromiumFile(process.env.QSPARSE_CHROMIUM), reason: null };
  } catch (error) {
    const [line] = String(error instanceof Error ? error.message : error).split('\n');
    return { file: null, reason: `skipped, there is no Chromium: ${line}` };
  }
}

const found = findChromium();
/** null where there is one. */
export const chromiumMissing = found.reason;

export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({ executablePath: found.file!, args: ['--no-sandbox', '--disable-gpu'] });
}

/** A page of its own profile, whose errors and requests are listed. */
export async function openPage(
  browser: Browser,
  options: { width?: number; dark?: boolean } = {},
): Promise<{ page: Page; errors: string[]; requests: string[]; close(): Promise<void> }> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: 900 },
    colorScheme: options.dark ? 'dark' : 'light',
    locale: 'en-US',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const errors: string[] = [];
  const requests: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('request', (request) => requests.push(request.url()));
  return { page, errors, requests, close: () => context.close() };
}

/** What axe-core finds, a line each. */
export async function violations(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: AXE });
  const found = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as {
    id: string;
    nodes: { html: string }[];
  }[];
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
}

/** Wider than the page is what a phone would have to scroll. */
export const overflow = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
