import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { licencesOf, notePackages, packageOf } from './bundled-packages.mjs';
import { inRoot } from './project.mjs';

describe('packages in a bundle', () => {
  it('are those of the last node_modules in a path, of any system', () => {
    expect(packageOf('/x/node_modules/uplot/dist/uPlot.esm.js')).toBe('uplot');
    expect(packageOf('C:\\x\\node_modules\\@huggingface\\jinja\\dist\\index.js')).toBe('@huggingface/jinja');
    expect(packageOf('/x/node_modules/a/node_modules/b/c.js')).toBe('b');
    expect(packageOf('/x/src/report/charts.ts')).toBeUndefined();
    const found = new Set();
    notePackages(found).generateBundle({}, { a: { modules: { '/x/node_modules/uplot/a.js': {} } }, b: {} });
    expect([...found]).toEqual(['uplot']);
  });

  it('come with their licences, a heading each; one without a file is an error', () => {
    expect(licencesOf(['uplot'])).toMatch(
      /^uplot [\d.]+ \(MIT\)\n\nThe MIT License \(MIT\)\n\nCopyright .* Leon Sorokin/,
    );
    expect(() => licencesOf(['.bin'])).toThrow('.bin is bundled into the pages and has no licence file');
  });

  it.skipIf(!existsSync(inRoot('dist/web')))('of the pages are those that their own code imports', () => {
    const site = readFileSync(inRoot('dist/web/licences.txt'), 'utf8');
    for (const name of ['@huggingface/jinja', '@huggingface/tokenizers', 'uplot']) expect(site).toContain(`${name} `);
    expect(readFileSync(inRoot('dist/pages/report.js'), 'utf8')).toMatch(
      /^\/\*[\s\S]*uplot [\s\S]*Leon Sorokin[\s\S]*\*\//,
    );
    expect(readFileSync(inRoot('dist/pages/law.js'), 'utf8')).not.toContain('Copyright');
  });
});
