import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fakeRun } from '../../test/support/fake-run.ts';
import { buildReport } from './build-report.ts';
import { buildCharts, MAX_DETAILS } from './charts.ts';
import { MAX_POINTS } from './curves.ts';
import { escapeHtml, jsonForScript } from './escape.ts';
import { buildHeatMaps } from './heat-map.ts';
import { sortRecords, summarise } from './summary.ts';

const HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(1)> & "quoted" \'text\' \u2028 <!--';

function dataOf(page: string): { axes: unknown[]; charts: { title: string; series: { values: unknown[] }[] }[] } {
  const json = /<script type="application\/json" id="report-data">(.*?)<\/script>/s.exec(page)?.[1] ?? '';
  return JSON.parse(json);
}

function count(page: string, pattern: RegExp): number {
  return page.match(pattern)?.length ?? 0;
}

describe('escape', () => {
  it('leaves no character that could end text, attribute or script, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"']/);
        expect(jsonForScript({ text })).not.toContain('<');
        expect(JSON.parse(jsonForScript({ text }))).toEqual({ text });
      }),
    );
  });
});

describe('summarise', () => {
  it('takes best, last and median values of the records', () => {
    const summary = summarise(fakeRun('a', 100));
    expect(summary).toMatchObject({ name: 'a', steps: 100, tokens: 409_600, seconds: 50, bestStep: 100 });
    expect(summary.bestValidationLoss).toBeCloseTo(2.16, 10);
    expect(summary.bitsPerByte).toBeCloseTo(0.72, 10);
    expect(summary.trainingLoss).toBeCloseTo(
      2 + [91, 92, 93, 94, 95, 96, 97, 98, 99, 100].reduce((s, n) => s + 0.6 / n, 0),
    );
    expect(summary.partsMs.backward).toBeCloseTo(250, 9);
    expect(summary.tokensPerSecond).toBe(8192);
  });

  it('has no numbers where there are no records', () => {
    expect(summarise({ name: 'empty', records: [] })).toMatchObject({
      steps: 0,
      bestStep: null,
      trainingLoss: Number.NaN,
    });
  });
});

describe('buildReport', () => {
  it('is one file that asks nothing of a network', () => {
    const page = buildReport([fakeRun('a', 50)]);
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/<link|<img|<iframe|\ssrc\s*=|href\s*=|@import|url\(/i);
    expect(page).toContain('.u-legend');
    expect(page).toMatch(/uplot [\d.]+ \(MIT\)/);
  });

  it('shows what ran and what came out', () => {
    const page = buildReport([fakeRun('dense', 50), fakeRun('sparse', 50)], {
      title: 'Two runs',
      notes: ['A note.'],
      tables: [{ title: 'Extra', columns: ['run', 'speed'], rows: [['dense', 12]], note: 'Below.' }],
    });
    for (const text of ['<title>Two runs</title>', 'A note.', 'Extra', 'Below.', '2.220', '1.23 M', 'a machine']) {
      expect(page).toContain(text);
    }
    expect(page).toContain('2024-05-06 07:08:09 UTC');
    expect(page).toContain('<b>Once</b>a text');
  });

  it('cannot be broken out of by names, titles, samples or configurations', () => {
    const plain = buildReport([fakeRun('a', 20)], { notes: ['n'] });
    const run = fakeRun(HOSTILE, 20, HOSTILE);
    const page = buildReport([run], {
      title: HOSTILE,
      notes: [HOSTILE],
      tables: [{ title: HOSTILE, columns: [HOSTILE], rows: [[HOSTILE]], note: HOSTILE }],
    });
    expect(count(page, /<script/gi)).toBe(count(plain, /<script/gi));
    expect(count(page, /<\/script/gi)).toBe(count(plain, /<\/script/gi));
    expect(page).not.toContain('<img');
    expect(dataOf(page).charts.length).toBe(dataOf(plain).charts.length);
  });

  it('keeps long runs small, with values and axis of equal length', () => {
    const { charts, axes } = dataOf(buildReport([fakeRun('long', 20_000)]));
    for (const { series } of charts) {
      for (const { values } of series) expect(values.length).toBeLessThanOrEqual(MAX_POINTS);
    }
    const loss = charts.find(({ title }) => title === 'Loss')?.series[0].values.length;
    expect(axes[0]).toMatchObject({ steps: { step: { length: loss }, tokens: { length: loss } } });
    expect(axes[0]).toMatchObject({ details: { step: { length: MAX_DETAILS }, seconds: { length: MAX_DETAILS } } });
  });

  it('can be made of runs with nothing in them yet', () => {
    expect(buildReport([{ name: 'new', records: [] }])).toContain('No steps have been recorded yet.');
    expect(buildReport([fakeRun('a', 1)])).toContain('<h2>Curves</h2>');
  });

  it('draws NaN (null in the file) as a gap', () => {
    const run = fakeRun('a', 20);
    const records = run.records.map((record) =>
      record.type === 'step' && record.step === 7 ? { ...record, loss: null as unknown as number } : record,
    );
    const loss = dataOf(buildReport([{ ...run, records }])).charts.find(({ title }) => title === 'Loss');
    expect(loss?.series[0].values[6]).toBeNull();
  });
});

describe('a mixture of experts in the report', () => {
  const dense = fakeRun('dense', 30);
  const records = dense.records.map((record) => {
    if (record.type === 'detail') return { ...record, expertLoad: [0, 1, 2].map(() => [0.7, 0.3, 0, 0]) };
    if (record.type !== 'step') return record;
    const router = { loss: 0.01, loadBalance: 1.5, z: 2, largestShare: 0.7, deadExperts: 0.5 };
    return { ...record, router };
  });

  it('has curves of its load and a column for each expert; a dense run has none', () => {
    const sorted = { name: 'moe', records: sortRecords(records) };
    const charts = buildCharts([sorted]);
    const load = charts.find(({ title }) => title === 'Load of the experts');
    expect(load?.series.map(({ values }) => values.at(-1))).toEqual([expect.closeTo(0.7), expect.closeTo(0.5)]);
    expect(charts.find(({ title }) => title === 'Load balance')?.series[0].values.at(-1)).toBeCloseTo(1.5, 5);
    const [heat] = buildHeatMaps([sorted]);
    expect(heat.groups.at(-1)).toMatchObject({ columns: ['0', '1', '2', '3'] });
    const columns = heat.groups.reduce((sum, group) => sum + group.columns.length, 0);
    expect(heat.values[0].slice(columns - 4, columns)).toEqual([0.7, 0.3, 0, 0]);

    const plain = { name: 'dense', records: sortRecords(dense.records) };
    expect(buildCharts([plain]).filter(({ title }) => title.startsWith('Load'))).toEqual([]);
    expect(buildHeatMaps([plain])[0].groups.length).toBe(heat.groups.length - 1);
  });
});

describe('charts', () => {
  it('give each of several runs one colour, and one run a colour for each curve', () => {
    const runs = (['a', 'b'] as const).map((name) => ({ name, records: sortRecords(fakeRun(name, 30).records) }));
    for (const { series } of buildCharts(runs)) for (const { color, run } of series) expect(color).toBe(run);
    const zeros = buildCharts(runs.slice(0, 1)).find(({ title }) => title === 'Zeros by point');
    expect(zeros?.series.map(({ color }) => color)).toEqual([0, 1, 2, 3]);
  });
});
