/**
 * Builds the pages (web/) into dist/web with Vite, where they or what they import have changed: files with relative URLs, for `qsparse serve` and
 * for any folder of a static site.
 *
 * The pages import the package as everybody does, from dist/; so they are built after it.
 */

import { existsSync } from 'node:fs';
import { filesUnder, hashOf, inRoot, isCurrent, writeStamp } from './project.mjs';

const OUTPUT = 'dist/web';
const STAMP = 'build/web.stamp';
const PAGES = ['index', 'dashboard', 'law'];

/** Browsers that know light-dark() and everything else that the pages are written in, so that nothing of it is translated. */
const TARGET = ['chrome123', 'firefox120', 'safari17.5'];

export async function buildWeb() {
  const sources = filesUnder('web', (file) => /\.(ts|css|html|svg)$/.test(file));
  const imported = filesUnder('src', (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  const hash = hashOf([...sources, ...imported, 'build/wasm/stamp', 'package-lock.json', 'scripts/lib/web.mjs']);
  if (isCurrent(STAMP, hash, `${OUTPUT}/index.html`)) return 'current';
  const { build } = await import('vite');
  await build({
    root: inRoot('web'),
    base: './',
    configFile: false,
    logLevel: 'warn',
    resolve: { alias: { qsparse: inRoot('dist/browser.js') } },
    // One Worker of one file, which may import nothing later on.
    worker: { format: 'es' },
    build: {
      outDir: inRoot(OUTPUT),
      emptyOutDir: true,
      target: TARGET,
      cssTarget: TARGET,
      rolldownOptions: {
        input: PAGES.map((page) => inRoot(`web/${page}.html`)).filter((file) => existsSync(file)),
      },
    },
  });
  writeStamp(STAMP, hash);
  return `${OUTPUT}, ${PAGES.length} pages`;
}
