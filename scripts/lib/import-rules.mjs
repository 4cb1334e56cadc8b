/**
 * The table of layers of src/: who may import whom, as docs/architecture.md draws it, and the check of one tree.
 *
 * A layer is a folder (or, for `backend`, the files of the backend boundary). Nothing above that boundary knows which backend runs; layers
 * side by side do not import each other. Modules of Node appear only where a browser will never run the code.
 */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const ANYTHING = '*';

/** What each layer may import besides itself; what none of its files imports is not in it. */
export const LAYERS = {
  util: [],
  tensor: ['util'],
  formats: ['util', 'tensor'],
  tokenizer: ['util'],
  chat: ['util', 'tokenizer'],
  // Tokens come in as bytes, so that it knows no tokenizer and no sampler.
  grammar: ['util'],
  backend: ['util', 'tensor'],
  backends: ['util', 'tensor', 'backend'],
  autograd: ['tensor', 'backend'],
  ops: ['tensor', 'backend', 'autograd'],
  nn: ['tensor', 'autograd', 'ops'],
  model: ['util', 'tensor', 'formats', 'backend', 'autograd', 'ops', 'nn'],
  // Models for other programs; beside `import`, which reads theirs.
  export: ['util', 'tensor', 'formats', 'tokenizer', 'model'],
  // Models by their id, fetched into a local folder.
  hub: ['util'],
  // Models of other programs, opened.
  import: ['util', 'tensor', 'formats', 'tokenizer', 'backend', 'model'],
  infer: ['util', 'tensor', 'backend', 'ops', 'model'],
  // A model that writes text, in one line: everything that takes, on any backend.
  load: ['util', 'tensor', 'formats', 'tokenizer', 'chat', 'backend', 'backends', 'model', 'infer', 'import'],
  // The same in a page.
  browser: ['util', 'formats', 'chat', 'backends', 'model', 'infer', 'load', 'scaling'],
  // The tasks of an evaluation are texts, and where a text is divided into tokens decides what is scored.
  eval: ['util', 'tokenizer', 'model', 'infer'],
  // Without the command line, so that a page can measure too.
  bench: ['util', 'tensor', 'backend', 'model', 'infer'],
  train: ['util', 'tensor', 'formats', 'tokenizer', 'backend', 'autograd', 'ops', 'model'],
  // The data of a fine-tuning for the same trainer.
  sft: ['util', 'tokenizer', 'chat', 'train'],
  report: ['util'],
  server: ['util', 'tokenizer', 'chat', 'grammar', 'model', 'infer'],
  // The law by itself: it runs in a page too.
  scaling: ['util'],
  cli: ANYTHING,
  index: ANYTHING,
};

/** The files of the backend boundary, which lie directly in src/. */
const BOUNDARY = ['backend.ts', 'tensor-pool.ts', 'arena.ts'];

/** Single files that a layer, or one file of it, may import although the table says no, each with its reason. */
const EXCEPTIONS = [
  {
    from: 'hub',
    to: 'formats/atomic-write.ts',
    because: 'files that are written whole or not at all, and processes that live',
  },
  { from: 'report', to: 'train/metrics.ts', because: 'the format of the records that a report is made from' },
  { from: 'report', to: 'model/config.ts', because: 'the names of the points in those records' },
  { from: 'train', to: 'backends/with-kernels.ts', because: "it puts another table in the place of any backend's" },
  { from: 'train', to: 'backends/time-kernels.ts', because: 'it wraps the kernels of any backend' },
  { from: 'bench', to: 'backends/time-kernels.ts', because: 'it wraps the kernels of any backend' },
  { from: 'train', to: 'backends/kernel-names.ts', because: 'it names the kernels that a sparse model alone runs' },
  { from: 'bench', to: 'backends/kernel-names.ts', because: 'it names the kernels that a sparse model alone runs' },
  { from: 'infer/generate-text.ts', to: 'tokenizer/tokenizer.ts', because: 'text in, text out; the engine takes ids' },
];

/** Folders and files that may import modules of Node. */
const NODE_ALLOWED = [
  'cli',
  'backends/native',
  'backends/wasm/node-platform.ts',
  'backends/default-threads.ts',
  'eval/data',
  'train',
  'sft',
  'formats',
  'export',
  'hub',
  'import',
  'load/load.ts',
  'report',
  'server',
];

/** The layer of a file, by its path inside src/: `backend` for the files of the boundary, else its first folder. */
export function layerOf(file) {
  if (BOUNDARY.includes(file)) return 'backend';
  const [first, ...rest] = file.split('/');
  return rest.length > 0 ? first : first.replace(/\.ts$/, '');
}

/** What is wrong with one import: a sentence, or undefined. `specifier` as written in `file` (a path inside src/). */
export function problemOf(file, specifier) {
  if (specifier.startsWith('node:')) {
    const allowed = NODE_ALLOWED.some((place) => file === place || file.startsWith(`${place}/`));
    return allowed ? undefined : `modules of Node belong in ${NODE_ALLOWED.join(', ')}`;
  }
  if (!specifier.startsWith('.')) return undefined;
  if (!specifier.endsWith('.ts')) return 'relative imports end with .ts';
  const target = path.posix.join(path.posix.dirname(file), specifier);
  if (target.startsWith('..')) return 'sources import nothing outside of src/';
  return layerProblem(file, target);
}

function layerProblem(file, target) {
  const [from, to] = [layerOf(file), layerOf(target)];
  const allowed = LAYERS[from];
  if (allowed === undefined) return `the folder ${from}/ has no rule: add it to scripts/lib/import-rules.mjs`;
  if (from === 'backends' && to === 'backends') return backendProblem(file, target);
  if (from === to || allowed === ANYTHING || allowed.includes(to)) return undefined;
  if (EXCEPTIONS.some((rule) => (rule.from === from || rule.from === file) && rule.to === target)) return undefined;
  return `${from} may import ${allowed.join(', ') || 'nothing'}, not ${to}`;
}

/** One backend does not import another: what they share lies directly in backends/. */
function backendProblem(file, target) {
  const [own, other] = [file, target].map((name) => name.split('/').slice(1, -1)[0]);
  if (own === undefined || other === undefined || own === other) return undefined;
  return `the ${own} backend may not import the ${other} backend: what they share lies in backends/`;
}

/**
 * The modules of Node that `entry` (a path inside the folder) loads as soon as it is imported, each with the file that imports it: dynamic
 * imports and types do not count. A browser needs this to be empty.
 */
export function nodeModulesBehind(folder, entry, seen = new Set([entry])) {
  const text = readFileSync(path.join(folder, entry), 'utf8');
  const { statements } = ts.createSourceFile(entry, text, ts.ScriptTarget.Latest);
  const specifiers = statements
    .filter((one) => one.moduleSpecifier && !isTypeOnly(one))
    .map((one) => one.moduleSpecifier.text);
  return specifiers.flatMap((specifier) => {
    if (specifier.startsWith('node:')) return [{ file: entry, specifier }];
    const target = path.posix.join(path.posix.dirname(entry), specifier);
    if (!specifier.startsWith('.') || seen.has(target)) return [];
    seen.add(target);
    return nodeModulesBehind(folder, target, seen);
  });
}

function isTypeOnly(statement) {
  return statement.isTypeOnly || statement.importClause?.isTypeOnly || false;
}

/** All problems under a folder like src/: `{ file, specifier, problem }`, tests left out. */
export function checkTree(folder) {
  return importsIn(folder)
    .map(({ file, specifier }) => ({ file, specifier, problem: problemOf(file, specifier) }))
    .filter(({ problem }) => problem !== undefined);
}

/** What the table allows and nothing under the folder does: one sentence for each layer. */
export function unusedPermissions(folder, layers = LAYERS) {
  const used = new Set(
    importsIn(folder)
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(
        ({ file, specifier }) => `${layerOf(file)} ${layerOf(path.posix.join(path.posix.dirname(file), specifier))}`,
      ),
  );
  return Object.entries(layers).flatMap(([layer, allowed]) => {
    const unused = allowed === ANYTHING ? [] : allowed.filter((other) => !used.has(`${layer} ${other}`));
    return unused.length > 0 ? [`${layer} may import ${unused.join(', ')} and does not`] : [];
  });
}

function importsIn(folder) {
  const files = readdirSync(folder, { recursive: true })
    .map((name) => name.replaceAll(path.sep, '/'))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'))
    .sort();
  return files.flatMap((file) => {
    const { importedFiles } = ts.preProcessFile(readFileSync(path.join(folder, file), 'utf8'));
    return importedFiles.map(({ fileName: specifier }) => ({ file, specifier }));
  });
}

/** Packages that a page may bring along. */
const PAGE_PACKAGES = ['qsparse', 'uplot', 'uplot/dist/uPlot.min.css', 'vitest'];

/**
 * All problems of the pages under `web`: they import each other, the package as everybody does, and files of `src` behind which no module of Node is
 * loaded; types from anywhere there.
 */
export function checkPages(web, src) {
  const files = readdirSync(web, { recursive: true })
    .map((name) => name.replaceAll(path.sep, '/'))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .sort();
  return files.flatMap((file) => {
    const text = readFileSync(path.join(web, file), 'utf8');
    const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
    return statements
      .filter((one) => one.moduleSpecifier && !isTypeOnly(one))
      .map((one) => one.moduleSpecifier.text)
      .map((specifier) => ({ file, specifier, problem: pageProblem(path.join(web, file), specifier, src) }))
      .filter(({ problem }) => problem !== undefined);
  });
}

function pageProblem(file, specifier, src) {
  if (!specifier.startsWith('.')) {
    return PAGE_PACKAGES.includes(specifier)
      ? undefined
      : `a page may import ${PAGE_PACKAGES.join(', ')}, not ${specifier}`;
  }
  const target = path.relative(src, path.resolve(path.dirname(file), specifier)).replaceAll(path.sep, '/');
  if (target.startsWith('..')) return undefined;
  const [node] = nodeModulesBehind(src, target);
  return node === undefined ? undefined : `a page cannot load ${node.specifier}, which ${node.file} imports`;
}
