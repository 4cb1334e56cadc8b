import { describe, expect, it } from 'vitest';
import { PRINTED_CONSTANTS } from '../scaling/law-form.ts';
import { buildLawPage } from './build-law-page.ts';
import type { PageLaw } from './page-data.ts';

const constants = PRINTED_CONSTANTS as PageLaw['constants'];
const LAW: PageLaw = { name: 'a </script><b>', constants, sizeUnit: 1e8, sizes: [3e8, 7e9], lossUnit: 'bits' };

describe('buildLawPage', () => {
  const page = buildLawPage([LAW], 'Laws <i>');

  it('asks no network, escapes names and titles, and labels every control', () => {
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/(src|href)="/);
    expect(page).toContain('<title>Laws &lt;i&gt;</title>');
    expect(page).not.toMatch(/<b>|<i>/);
    expect(page.match(/<\/script/g)).toHaveLength(2);
    for (const id of ['law', 'size', 'sparsity']) {
      expect(page).toContain(`<label for="${id}">`);
      expect(page).toMatch(new RegExp(`id="${id}" `));
    }
  });

  it('holds the laws as its script reads them', () => {
    const json = /<script type="application\/json" id="law-data">(.*?)<\/script>/s.exec(page)?.[1] ?? '';
    expect(JSON.parse(json)).toEqual([LAW]);
  });
});
