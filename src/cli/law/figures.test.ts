import { describe, expect, it } from 'vitest';
import { lawForm } from '../../scaling/law-form.ts';
import { lawFigures } from './figures.ts';

describe('the runs', () => {
  it('are all drawn where their sparsity is the measured one, which no two have alike', () => {
    const constants = { E: 3, B: 0.2, C: 0.02, alpha: 0.3, beta: 0.4 };
    const law = { name: 'float', form: lawForm('exponential'), constants, unit: 'M' };
    const points = [1, 2, 4, 8].flatMap((size) =>
      [0, 0.3, 0.5, 0.7].map((asked) => ({ size, asked, sparsity: asked + size / 1000, loss: 3 + asked })),
    );
    const { 'law-float-fit.svg': svg } = lawFigures(law, points);
    // In both panels.
    expect(svg.match(/<circle/g)).toHaveLength(2 * points.length);
    expect(svg.match(/>S \d+ %</g)).toEqual(['>S 0 %<', '>S 30 %<', '>S 50 %<', '>S 70 %<']);
  });
});

describe('the lines of equal loss', () => {
  /** Flat over sparsity until it turns: the lowest line leaves the axis below and comes back. */
  const law = {
    name: 'float',
    form: lawForm('exponential'),
    constants: { E: 3.87, B: 0.2, C: 0.0242, alpha: 0.267, beta: 0.393 },
    unit: 'M',
  };
  const points = [0.2, 0.44, 1, 1.9, 4].flatMap((size) =>
    [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8].map((sparsity) => ({ size, sparsity, loss: 4.1 })),
  );

  it('are not joined along the edge that they leave by', () => {
    const { 'law-float-activated.svg': svg } = lawFigures(law, points);
    const lines = [...svg.matchAll(/<path class="sparse" d="(M[^"]+L[^"]+)"/g)].map(([, d]) =>
      d
        .split(/[ML]/)
        .filter(Boolean)
        .map((pair) => Number(pair.split(' ')[0])),
    );
    const steps = lines.flatMap((line) => line.slice(1).map((x, i) => x - line[i]));
    expect(lines.length).toBeGreaterThan(4);
    expect(Math.max(...steps)).toBeLessThan(1.5 * Math.min(...steps));
  });
});
