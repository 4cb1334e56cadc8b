/** `qsparse bench decode` in a page of Chromium: what the command would print, measured by bench/chromium/bench-worker.mjs. */

import { askPage } from './chromium.mjs';

/**
 * `question` is `{ shape, dtype, sparsities, threads, repeat }`; the number of tokens and the seed are those that the command has where nothing is
 * said. A page does not know how much memory its process holds.
 */
export async function measureInChromium(file, question) {
  const { describeMachine } = await import('../../dist/cli/shared/machine.js');
  const { currentCommit } = await import('../../dist/cli/bench/current-commit.js');
  const { rows, backend, threads, browser } = await askPage(file, 'bench/chromium/page.html', {
    tokens: 32,
    seed: 0,
    ...question,
  });
  const machine = describeMachine();
  const version = browser.match(/Chrom(?:e|ium)\/([\d.]+)/)?.[1] ?? browser;
  const text = `${machine.cpu}, ${machine.cores} cores, ${machine.os}, Chromium ${version}`;
  return { machine: { ...machine, text, backend, threads }, commit: currentCommit(), peakProcessBytes: null, rows };
}
