import { describe, expect, it } from 'vitest';
import { lawForm, lawLoss, PRINTED_CONSTANTS } from '../scaling/law-form.ts';
import { optimalSparsity } from '../scaling/optimal-sparsity.ts';
import { buildLawPage, type PageLaw } from './build-law-page.ts';
import { LAW_IN_PAGE } from './law-page-script.ts';

const { E, B, C, alpha, beta } = PRINTED_CONSTANTS;
const LAW: PageLaw = { name: 'a <b>', E, B, C, alpha, beta, sizeUnit: 1e8, sizes: [3e8, 7e9], lossUnit: 'bits' };

describe('the law in the page', () => {
  const { lossAt, bestSparsity } = new Function(`${LAW_IN_PAGE} return { lossAt, bestSparsity };`)() as {
    lossAt: (law: PageLaw, size: number, sparsity: number) => number;
    bestSparsity: (law: PageLaw) => number;
  };

  it('is that of src/scaling', () => {
    const form = lawForm('exponential');
    for (const [size, sparsity] of [
      [3e8, 0],
      [7e9, 0.4],
      [1e6, 0.85],
    ]) {
      expect(lossAt(LAW, size, sparsity)).toBeCloseTo(
        lawLoss(form, PRINTED_CONSTANTS, { size: size / 1e8, sparsity }),
        12,
      );
    }
    expect(bestSparsity(LAW)).toBeCloseTo(optimalSparsity(form, PRINTED_CONSTANTS), 6);
    expect(bestSparsity({ ...LAW, beta: 0.2 })).toBe(0);
  });
});

describe('buildLawPage', () => {
  const page = buildLawPage([LAW]);

  it('asks no network, escapes names, and labels every control', () => {
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/(src|href)=/);
    expect(page).toContain('a &lt;b&gt;');
    expect(page).not.toContain('a <b>');
    for (const id of ['law', 'size', 'sparsity']) {
      expect(page).toContain(`<label for="${id}">`);
      expect(page).toMatch(new RegExp(`id="${id}" `));
    }
  });

  it('has an element for everything that its script looks up', () => {
    const wanted = [...page.matchAll(/element\('([\w-]+)'\)|'((?:of|chart)-[\w-]+)'/g)].map(([, a, b]) => a ?? b);
    for (const id of wanted) expect(page).toContain(`id="${id}"`);
  });
});
