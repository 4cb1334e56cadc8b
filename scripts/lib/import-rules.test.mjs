import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkPages, checkTree, LAYERS, nodeModulesBehind, problemOf, unusedPermissions } from './import-rules.mjs';
import { inRoot } from './project.mjs';

describe('problemOf', () => {
  it.each([
    ['tensor/tensor.ts', '../util/errors.ts'],
    ['ops/top-k.ts', '../backend.ts'],
    ['ops/top-k.ts', './other.ts'],
    ['tensor-pool.ts', './backend.ts'],
    ['backends/wasm/a.ts', '../c-kernels.ts'],
    ['backends/load-backend.ts', './wasm/wasm-backend.ts'],
    ['backends/native/addon.ts', 'node:fs'],
    ['train/trainer.ts', '../backends/time-kernels.ts'],
    ['bench/bench-inference.ts', '../backends/time-kernels.ts'],
    ['backends/wasm/node-platform.ts', 'node:fs'],
    ['cli/main.ts', '../infer/engine.ts'],
    ['tokenizer/bpe.ts', '@huggingface/tokenizers'],
  ])('allows %s to import %s', (file, specifier) => {
    expect(problemOf(file, specifier)).toBeUndefined();
  });

  it.each([
    ['util/errors.ts', '../tensor/tensor.ts', /util may import nothing/],
    ['ops/top-k.ts', '../nn/linear.ts', /not nn/],
    ['nn/linear.ts', '../backends/native/addon.ts', /not backends/],
    ['formats/gguf.ts', '../tokenizer/bpe.ts', /not tokenizer/],
    ['report/report.ts', '../train/trainer.ts', /not train/],
    ['infer/engine.ts', '../train/trainer.ts', /not train/],
    ['backends/wasm/a.ts', '../native/addon.ts', /the wasm backend may not import the native backend/],
    ['ops/top-k.ts', 'node:fs', /modules of Node/],
    ['backends/wasm/wasm-backend.ts', 'node:fs', /modules of Node/],
    ['bench/bench-inference.ts', '../cli/bench/energy-meter.ts', /not cli/],
    ['ops/top-k.ts', './other.js', /end with .ts/],
    ['ops/top-k.ts', '../../test/a.ts', /outside of src/],
    ['news/a.ts', '../util/errors.ts', /has no rule/],
  ])('refuses %s to import %s', (file, specifier, message) => {
    expect(problemOf(file, specifier)).toMatch(message);
  });
});

describe('checkTree', () => {
  it('finds imports, type imports, re-exports and dynamic imports, and leaves tests alone', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'imports-'));
    try {
      mkdirSync(path.join(folder, 'util'));
      const text = `import type { A } from '../nn/a.ts';\nexport { b } from '../nn/b.ts';\nawait import('../nn/c.ts');\n`;
      writeFileSync(path.join(folder, 'util/bad.ts'), `// import '../nn/comment.ts'\n${text}`);
      writeFileSync(path.join(folder, 'util/bad.test.ts'), text);
      expect(checkTree(folder).map(({ specifier }) => specifier)).toEqual(['../nn/a.ts', '../nn/b.ts', '../nn/c.ts']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('docs/architecture.md', () => {
  it('has the table of layers as it is enforced', () => {
    const lines = readFileSync(inRoot('docs/architecture.md'), 'utf8').split('\n');
    for (const [layer, allowed] of Object.entries(LAYERS)) {
      if (allowed === '*') continue;
      const [, , cell] = lines.find((line) => line.startsWith(`| \`${layer}\``))?.split('|') ?? [];
      expect(cell?.split(';')[0].trim(), layer).toBe(allowed.join(', ') || 'nothing');
    }
  });
});

describe('unusedPermissions', () => {
  it('names what a layer may import and no file of it does', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'imports-'));
    try {
      mkdirSync(path.join(folder, 'nn'));
      writeFileSync(
        path.join(folder, 'nn/a.ts'),
        `import '../ops/a.ts';\nimport '../backend.ts';\nimport 'left-pad';\n`,
      );
      const layers = { nn: ['ops', 'tensor', 'backend', 'util'], ops: [], cli: '*' };
      expect(unusedPermissions(folder, layers)).toEqual(['nn may import tensor, util and does not']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('checkPages', () => {
  it('finds packages and files of src that a page cannot load, and leaves types alone', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'imports-'));
    try {
      for (const name of ['web', 'src']) mkdirSync(path.join(folder, name));
      const write = (file, text) => writeFileSync(path.join(folder, file), text);
      write('src/node.ts', `import 'node:fs';`);
      write('src/pure.ts', `import type { T } from './node.ts';`);
      const lines = [
        "'../src/pure.ts'",
        "type { T } from '../src/node.ts'",
        "{ n } from '../src/node.ts'",
        "'left-pad'",
      ];
      write('web/page.ts', lines.map((line) => `import ${line};`).join('\n'));
      const found = checkPages(path.join(folder, 'web'), path.join(folder, 'src'));
      expect(found.map(({ specifier }) => specifier)).toEqual(['../src/node.ts', 'left-pad']);
      expect(found[0].problem).toBe('a page cannot load node:fs, which node.ts imports');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('nodeModulesBehind', () => {
  it('follows what is imported at once, not types and not dynamic imports', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'imports-'));
    const write = (file, text) => writeFileSync(path.join(folder, file), text);
    try {
      write('entry.ts', `import './a.ts';\nimport type { T } from './types.ts';\nawait import('./later.ts');\n`);
      write('a.ts', `import './entry.ts';\nexport { b } from './b.ts';\nimport pure from 'a-package';\n`);
      write('b.ts', `import { readFileSync } from 'node:fs';\nexport const b = readFileSync;\n`);
      for (const file of ['types.ts', 'later.ts']) write(file, `import 'node:os';\n`);
      expect(nodeModulesBehind(folder, 'entry.ts')).toEqual([{ file: 'b.ts', specifier: 'node:fs' }]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([
    'backends/load-backend.ts',
    'backends/wasm/browser-platform.ts',
    'bench/bench-inference.ts',
    'bench/bench-weights.ts',
    'browser.ts',
    'browser/engine-worker.ts',
    'infer/engine.ts',
    'infer/generate-text.ts',
    'infer/scheduler.ts',
    'scaling/analyse-law.ts',
    'scaling/law-runs.ts',
    'scaling/speed-curve.ts',
  ])('%s loads in a browser', (entry) => {
    expect(nodeModulesBehind(inRoot('src'), entry)).toEqual([]);
  });
});
