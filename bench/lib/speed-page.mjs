/** What the page of bench/chromium/speed.html needs, made below build/ where it is missing: its bundle, wllama, one model in both formats. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { MAIN, ROOT } from './processes.mjs';

const PEER = '@wllama/wllama';
const PEER_VERSION = '3.13.0';
const FOLDER = 'build/browser-speed';

/** What the page may have. */
export const FOLDERS = [FOLDER, 'build/peers'];

/** Bundles the page as anybody's program with `import { load } from 'qsparse'` is bundled; returns its path below the project. */
export async function buildSpeedPage() {
  const { build } = await import('vite');
  const source = path.join(ROOT, 'bench/chromium');
  await build({
    root: source,
    base: './',
    configFile: false,
    logLevel: 'warn',
    resolve: { alias: { qsparse: path.join(ROOT, 'dist/browser.js') } },
    worker: { format: 'es' },
    build: {
      outDir: path.join(ROOT, FOLDER, 'page'),
      emptyOutDir: true,
      target: 'chrome123',
      rolldownOptions: { input: path.join(source, 'speed.html') },
    },
  });
  return `${FOLDER}/page/speed.html`;
}

/** wllama from npm, in a folder of its own: its version, and the paths of its module and program. */
export function installPeer() {
  const folder = path.join(ROOT, 'build/peers/wllama');
  const own = `build/peers/wllama/node_modules/${PEER}`;
  const manifest = path.join(ROOT, own, 'package.json');
  const versionOf = () => (existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : null);
  if (versionOf() !== PEER_VERSION) {
    mkdirSync(folder, { recursive: true });
    const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
    execFileSync('npm', ['install', '--prefix', folder, ...flags, `${PEER}@${PEER_VERSION}`], { stdio: 'pipe' });
  }
  return { name: PEER, version: versionOf(), module: `/${own}/esm/index.js`, wasm: `/${own}/esm/wasm/wllama.wasm` };
}

/** `model` packed as int8 for us and as a GGUF of Q8_0 for llama.cpp, both of the same weights: paths below the project. */
export function modelsOf(model) {
  const name = path.basename(path.resolve(model)).replace(/\.gguf$/, '');
  const [ours, theirs] = [`${FOLDER}/${name}-int8`, `${FOLDER}/${name}-q8_0.gguf`];
  mkdirSync(path.join(ROOT, FOLDER), { recursive: true });
  convert(model, ours, ['--dtype', 'int8']);
  convert(model, theirs, ['--to', 'gguf', '--dtype', 'q8_0']);
  return { name, ours, theirs };
}

function convert(model, to, args) {
  const file = path.join(ROOT, to);
  if (existsSync(file)) return;
  try {
    execFileSync(process.execPath, [MAIN, 'convert', model, file, ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  } catch (error) {
    rmSync(file, { recursive: true, force: true });
    throw error;
  }
}
