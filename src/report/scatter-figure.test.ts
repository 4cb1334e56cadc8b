import { describe, expect, it } from 'vitest';
import { scatterFigure } from './scatter-figure.ts';

const PANEL = { title: 'Quality', xTitle: 'ms', yTitle: 'perplexity' };
const point = (x: number, y: number, name: string, error: number | null = null) => ({ x, y, name, error });

/** Where the circles are: [class, x, y]. */
function circles(svg: string): [string, number, number][] {
  return [...svg.matchAll(/<circle class="(\w+)" cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, style, x, y]) => [
    style,
    Number(x),
    Number(y),
  ]);
}

describe('scatterFigure', () => {
  it('puts points where the ticks of their axes say they are', () => {
    const series = [[point(10, 2, 'a'), point(20, 4, 'b')], [point(30, 3, 'c')]];
    const svg = scatterFigure('three points', [{ ...PANEL, series }]);
    const ticks = new Map(
      [...svg.matchAll(/<text x="([\d.]+)" y="398" text-anchor="middle">([\d.-]+)</g)].map(([, x, value]) => [
        Number(value),
        Number(x),
      ]),
    );
    const [a, b, c] = circles(svg);
    expect([a[0], b[0], c[0]]).toEqual(['c0', 'c0', 'c1']);
    // 10 and 20 are ticks; 30 too.
    for (const [value, [, x]] of [
      [10, a],
      [20, b],
      [30, c],
    ] as const) {
      expect(x).toBeCloseTo(ticks.get(value)!, 1);
    }
    // More is further up; the same distances on both sides of the middle one.
    expect(b[2]).toBeLessThan(c[2]);
    expect(a[2] - c[2]).toBeCloseTo(c[2] - b[2], 1);
    // One line joins the two points of a series.
    expect(svg.match(/<path class="c0"/g)).toHaveLength(1);
    expect(svg.match(/<path class="c1"/g)).toBeNull();
  });

  it('draws errors as bars, and has room for points that coincide and for none', () => {
    const svg = scatterFigure('one point', [
      { ...PANEL, series: [[point(5, 1, 'a', 0.25)]] },
      { ...PANEL, series: [[]] },
    ]);
    const [[, x, y]] = circles(svg);
    const [, x1, y1, x2, y2] = /<path class="c0" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"/.exec(svg)!.map(Number);
    expect([x1, x2]).toEqual([x, x]);
    expect((y1 + y2) / 2).toBeCloseTo(y, 0);
    expect(y1).toBeGreaterThan(y2);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });

  it('keeps the names of points that lie close apart, on both sides of the middle', () => {
    const crowd = ['topk-50', 'wina-50', 'teal-uniform-50', 'teal-50'];
    const near = crowd.map((name, i) => point(10 + 0.05 * i, 3 + 0.005 * i, name));
    const series = [...near, point(1, 1, 'low'), point(20, 5, 'high')].map((one) => [one]);
    const svg = scatterFigure('a crowd', [{ ...PANEL, series }]);
    const names = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)" text-anchor="(start|end)">([a-z][\w-]+)</g)]
      .filter(([, , , , name]) => name !== PANEL.xTitle)
      .map(([, x, y, anchor, name]) => {
        const width = 6 * name.length;
        const left = anchor === 'start' ? Number(x) : Number(x) - width;
        return { name, left, right: left + width, y: Number(y) };
      });
    expect(names.map(({ name }) => name)).toEqual([...crowd, 'low', 'high']);
    for (const [i, a] of names.entries()) {
      expect(a.left).toBeGreaterThanOrEqual(0);
      for (const b of names.slice(i + 1)) {
        const apart = a.right < b.left || b.right < a.left || Math.abs(a.y - b.y) >= 11;
        expect(apart, `${a.name} and ${b.name}`).toBe(true);
      }
    }
  });

  it('writes no name across a line where there is room beside it', () => {
    const falling = [point(1, 5, 'from-here'), point(2, 4, 'past-here'), point(3, 1, 'to-here')];
    const barred = [point(1.6, 4.6, 'a-bar', 0.8)];
    const svg = scatterFigure('a line', [{ ...PANEL, series: [falling, barred] }]);
    const lines = [...svg.matchAll(/<path class="\w+" d="M([^"]+)"/g)].flatMap(([, d]) => {
      const corners = d.split('L').map((corner) => corner.split(' ').map(Number));
      return corners.slice(1).map((to, i) => [corners[i], to]);
    });
    expect(lines).toHaveLength(3);
    const names = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)" text-anchor="(start|end)">([a-z]+-[a-z-]+)</g)];
    expect(names).toHaveLength(4);
    for (const [, x, y, anchor, name] of names) {
      const width = 6 * name.length;
      const left = anchor === 'start' ? Number(x) : Number(x) - width;
      for (const [from, to] of lines) {
        for (let share = 0; share <= 1; share += 0.001) {
          const [px, py] = [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])];
          const covered = px > left && px < left + width && py > Number(y) - 9 && py < Number(y);
          expect(covered, `${name} at ${px} ${py}`).toBe(false);
        }
      }
    }
  });

  it('lets no name become markup', () => {
    const svg = scatterFigure('a < b', [{ ...PANEL, series: [[point(1, 1, '</svg><script>')]] }]);
    expect(svg).toContain('&lt;/svg&gt;&lt;script&gt;');
    expect(svg.match(/<\/svg>/g)).toHaveLength(1);
    expect(svg).toContain('aria-label="a &lt; b"');
  });
});
