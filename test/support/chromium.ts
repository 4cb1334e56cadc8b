/** A real Chromium for tests, driven by playwright-core: that of bench/lib/chromium.mjs, or the reason why there is none. */

import { type Browser, chromium, type Page } from 'playwright-core';
import { chromiumFile } from '../../bench/lib/chromium.mjs';

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
