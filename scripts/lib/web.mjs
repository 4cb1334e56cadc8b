/**
 * Builds the pages (web/) with Vite, where they or what they import have changed: those of a site into dist/web, files with relative URLs, for `qsparse serve` and
 * for any folder of a static site; and into dist/pages a script and a style each for the pages in one file that commands write (src/report).
 *
 * The pages import the package as everybody does, from dist/; so they are built after it.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { licencesOf, notePackages } from './bundled-packages.mjs';
import { filesUnder, hashOf, inRoot, isCurrent, writeStamp } from './project.mjs';

const SITE = 'dist/web';
const PAGES = ['index', 'dashboard', 'law'];
const SAVED = 'dist/pages';
const SAVED_PAGES = { report: 'report/main.ts', law: 'law/saved-page.ts' };
const STAMP = 'build/web.stamp';

/** Browsers that know light-dark() and everything else that the pages are written in, so that nothing of it is translated. */
const TARGET = ['chrome123', 'firefox120', 'safari17.5'];

export async function buildWeb() {
  const sources = filesUnder('web', (file) => /\.(ts|css|html|svg)$/.test(file));
  const imported = filesUnder('src', (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  const scripts = ['scripts/lib/web.mjs', 'scripts/lib/bundled-packages.mjs'];
  const hash = hashOf([...sources, ...imported, 'build/wasm/stamp', 'package-lock.json', ...scripts]);
  if (isCurrent(STAMP, hash, `${SITE}/index.html`)) return 'current';
  await buildSite();
  rmSync(inRoot(SAVED), { recursive: true, force: true });
  for (const [name, entry] of Object.entries(SAVED_PAGES)) await buildSavedPage(name, entry);
  writeStamp(STAMP, hash);
  return `${SITE}, ${PAGES.length} pages; ${SAVED}, ${Object.keys(SAVED_PAGES).length}`;
}

async function buildSite() {
  const rolldownOptions = { input: PAGES.map((page) => inRoot(`web/${page}.html`)) };
  const packages = await bundle({ outDir: inRoot(SITE), emptyOutDir: true, rolldownOptions });
  writeFileSync(inRoot(`${SITE}/licences.txt`), `${licencesOf(packages)}\n`);
}

/** One classic script, which stands in a page and needs no server, behind the licences of what is in it. */
async function buildSavedPage(name, entry) {
  const script = `${name}.js`;
  const lib = { entry: inRoot(`web/${entry}`), formats: ['iife'], name, fileName: () => script, cssFileName: name };
  const packages = await bundle({ outDir: inRoot(SAVED), emptyOutDir: false, copyPublicDir: false, minify: true, lib });
  if (packages.size === 0) return;
  const file = inRoot(`${SAVED}/${script}`);
  writeFileSync(file, `/*\n${licencesOf(packages)}\n*/\n${readFileSync(file, 'utf8')}`);
}

/** Resolves to the packages in it. */
async function bundle(options) {
  const { build } = await import('vite');
  const packages = new Set();
  await build({
    root: inRoot('web'),
    base: './',
    configFile: false,
    logLevel: 'warn',
    resolve: { alias: { qsparse: inRoot('dist/browser.js') } },
    plugins: [notePackages(packages)],
    // One Worker of one file, which may import nothing later on.
    worker: { format: 'es', plugins: () => [notePackages(packages)] },
    build: { target: TARGET, cssTarget: TARGET, ...options },
  });
  return packages;
}
