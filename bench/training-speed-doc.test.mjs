/** The generator of docs/training-speed.md, on results made by hand, and the committed page against the committed results. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { fillBlocks } from './lib/markdown.mjs';
import { ROOT } from './lib/processes.mjs';
import { staysAbove } from './lib/statistics.mjs';
import { axis } from './lib/svg-chart.mjs';
import { blocksOf, secondsTo } from './lib/training-speed-tables.mjs';
import { targetsOf } from './lib/training-speed-targets.mjs';
import { generate, readResults } from './training-speed-doc.mjs';

const DOC = readFileSync(path.join(ROOT, 'docs/training-speed.md'), 'utf8');
const MEBIBYTE = 2 ** 20;

function row(sparsity, speedupOverDense, fields = {}) {
  return {
    shape: 'run',
    checkpoint: 'trained',
    step: 100,
    precision: 'f32',
    sparsity,
    skips: 'all',
    without: null,
    zeros: 0.5,
    downZeros: 0.8,
    batch: 8,
    seqLen: 256,
    msPerStep: 1000 / speedupOverDense,
    tokensPerSecond: 1000 * speedupOverDense,
    gflops: 80,
    gflopsDenseEquivalent: 100 * speedupOverDense,
    speedupOverDense,
    gain: null,
    selectShare: 0.02,
    peakBytes: 900 * MEBIBYTE,
    spread: 0.1,
    ...fields,
  };
}
const twin = (fields) => row(0, 1, { skips: 'none', selectShare: 0, ...fields });

const MACHINE = {
  cpu: 'A processor',
  cores: 2,
  os: 'linux',
  node: 'v20',
  backend: 'native avx2, 2 threads',
  threads: 2,
};
const PROCESSOR = { avx2: true, avx512_bf16: false };
const oneCase = (key, rows, more = {}) => ({
  key,
  machine: MACHINE,
  processor: PROCESSOR,
  commit: 'abc',
  rows,
  ...more,
});
const l1Case = (hiddenL1, validationLoss, downZeros, speedup) =>
  oneCase(`l1-${hiddenL1}`, [twin(), row(0.6, speedup, { downZeros })], {
    quality: { hiddenL1, dim: 512, steps: 500, tokens: 1e6, validationLoss, deadChannels: 0.03, downZeros },
  });
const clock = (key, points) => ({
  key,
  machine: { text: 'A processor, 2 cores', backend: 'native' },
  processor: PROCESSOR,
  quality: { steps: 10, tokens: 2e6, seconds: points.at(-1)[0], validationLoss: points.at(-1)[1] },
  curve: { points: [], validation: points.map(([seconds, loss]) => ({ seconds, tokens: 1e4 * seconds, loss })) },
});

const oneRun = (key, losses, validationLoss) => ({
  key,
  machine: { text: 'A processor, 2 cores', backend: 'native' },
  processor: PROCESSOR,
  quality: { steps: 10, tokens: 2e6, trainLoss: losses.at(-1), validationLoss },
  curve: {
    points: losses.map((loss, i) => ({ seconds: i, tokens: 1e6 * (i + 1), loss })),
    validation: [{ seconds: 9, tokens: 2e6, loss: validationLoss }],
  },
});

const RESULTS = {
  sparsity: { cases: [oneCase('sparsity', [twin(), row(0, 1.2), row(0.3, 0.9), row(0.5, 1.1), row(0.7, 1.5)])] },
  batch: { cases: [oneCase('1 x 128', [twin(), row(0.6, 0.95)]), oneCase('8 x 256', [twin(), row(0.6, 1.4)])] },
  size: {
    cases: [
      oneCase('dim 1024', [twin(), row(0, 1.1), row(0.6, 1.85)], {
        shape: { dim: 1024, hiddenDim: 2816, layers: 4 },
        quality: { hiddenL1: 0.001, tokens: 153600 },
      }),
      oneCase('dim 256', [twin(), row(0.6, 1.2)], {
        shape: { dim: 256, hiddenDim: 704, layers: 8 },
        quality: { hiddenL1: 0.001, tokens: 153600 },
      }),
    ],
  },
  skips: {
    cases: [
      oneCase('skips', [
        twin(),
        row(0.6, 1.5, { gain: 1 }),
        row(0.6, 1.2, { without: 'up', skips: 'all but up', gain: 1.25 }),
      ]),
    ],
  },
  l1: { cases: [l1Case(0.03, 4.2, 0.99, 1.9), l1Case(0, 4, 0.8, 1.4), l1Case(0.003, 4.02, 0.96, 1.65)] },
  bf16: {
    cases: [oneRun('f32', [5, 4], 4.1), oneRun('bf16', [5.1, 3.96], 4.141)],
  },
  'wall-clock': {
    cases: [
      clock('dense', [
        [600, 5],
        [1200, 4],
      ]),
      clock('sparse', [
        [400, 5],
        [600, 4.5],
        [800, 3.5],
      ]),
    ],
  },
  peers: null,
};

const lineWith = (block, text) => block.split('\n').find((line) => line.includes(text));
const cells = (line) => line.split('|').map((cell) => cell.trim());

describe('tables', () => {
  const blocks = blocksOf(RESULTS);

  it('over sparsity, with both crossovers', () => {
    expect(cells(lineWith(blocks.sparsity, '| 70 %'))).toEqual([
      '',
      'f32',
      '70 %',
      'all zeros',
      '50 %',
      '80 %',
      '1,500',
      '80',
      '150',
      '1.50',
      '1.25',
      '2.0 %',
      '900 MiB',
      '10 %',
      '',
    ]);
    expect(lineWith(blocks.sparsity, '| natural zeros |')).toContain('| 1.20 | 1.00 |');
    // 0.9 at 30 % and 1.1 at 50 %: 1 in the middle; 1.1 at 50 % and 1.5 at 70 %: 1.2 after a quarter.
    expect(blocks.sparsity).toContain(
      'Crossover, f32: against the dense twin at 40 %; against natural zeros alone at 55 %.',
    );
  });

  it('over batch, with what loses named', () => {
    expect(lineWith(blocks.batch, '| 8 x 256')).toContain('| 2,048 | f32 | 50 % | 80 % | 1,000 | 1,400 | 1.40 |');
    expect(blocks.batch).toContain('Crossover: dense is faster at 1 x 128 (f32).');
  });

  it('over size from narrow to wide, with what the weights were trained on', () => {
    expect(
      blocks.size
        .split('\n')
        .slice(2, 4)
        .map((line) => cells(line)[1]),
    ).toEqual(['256', '1024']);
    expect(cells(lineWith(blocks.size, '| 1024')).slice(1, 7)).toEqual([
      '1024',
      '2,816',
      '4',
      '100',
      '153,600',
      '0.001',
    ]);
  });

  it('by skip', () => {
    expect(cells(lineWith(blocks.skips, '`up`')).slice(2, 6)).toEqual(['f32', '833', '1.25', '1.20']);
    expect(lineWith(blocks.skips, 'dense twin')).toContain('| 1,000 | - | 1.00 |');
  });

  it('by coefficient, in ascending order, against coefficient 0', () => {
    const lines = blocks.l1.split('\n').slice(2, 5).map(cells);
    expect(lines.map((line) => [line[1], line[6], line[9], line[11]])).toEqual([
      ['0', '80.0 %', '0.0 %', '1.40'],
      ['0.003', '96.0 %', '+0.5 %', '1.65'],
      ['0.03', '99.0 %', '+5.0 %', '1.90'],
    ]);
  });

  it('by coefficient, only against a run of the same width and length', () => {
    const long = l1Case(0.003, 3.9, 0.96, 1.65);
    long.quality = { ...long.quality, tokens: 2e6 };
    const lines = blocksOf({ ...RESULTS, l1: { cases: [...RESULTS.l1.cases, long] } }).l1.split('\n');
    expect(cells(lines[5]).slice(5, 10)).toEqual(['2,000,000', '96.0 %', '3.0 %', '3.900', '-']);
  });

  it('of bf16 against f32: the losses and how far the curves ever are apart', () => {
    // 5.1 against 5 is 2 % apart, 3.96 against 4 only 1 %.
    expect(cells(lineWith(blocks.bf16, '| bf16')).slice(4, 8)).toEqual(['3.960', '4.141', '+1.0 %', '2.00 %']);
  });

  it('of losses against seconds: when each run came to the loss of the first', () => {
    // 4.5 after 600 s and 3.5 after 800 s: 4 after 700 s.
    expect(cells(lineWith(blocks['wall-clock'], '| sparse')).slice(4, 8)).toEqual([
      '13.3 min',
      '3.500',
      '11.7 min',
      '1.71',
    ]);
    expect(secondsTo(RESULTS['wall-clock'].cases[0].curve.validation, 3.9)).toBeNull();
  });

  it('say where it was measured, and what is not', () => {
    expect(blocks.machine).toContain(
      'sparsity, batch, size, skips, l1: A processor, 2 cores, linux, Node v20; native avx2, 2 threads; instructions: avx2; commit abc',
    );
    expect(blocks.peers).toBe('Not measured yet: `node bench/train-against-pytorch.mjs`.');
  });
});

describe('targets', () => {
  const value = (results, text) => targetsOf(results).find((target) => target.text === text)?.value;

  it('counts a coefficient only where it closes 95 % at no more than 1 % of the loss', () => {
    const text = 'own dense twin, with hiddenL1 at 95 % zeros and more, loss within 1 %';
    expect(value(RESULTS, text)).toBe(1.65);
    const none = { ...RESULTS, l1: { cases: RESULTS.l1.cases.slice(0, 2) } };
    expect(value(none, text)).toBeNull();
    expect(cells(lineWith(blocksOf(none).targets, text)).slice(3, 5)).toEqual(['no coefficient is both', 'missed']);
    expect(cells(lineWith(blocksOf(none).targets, 'the same at dim 1024')).slice(3, 5)).toEqual(['not measured', '']);
  });

  it('reads the peers: runs without the L1 term, the best mode, the fastest mode of each precision', () => {
    const over = (f32, compiled, bf16) => ({ 'torch f32': f32, 'torch f32-compile': compiled, 'torch bf16': bf16 });
    const ours = { precision: 'f32', peakProcessBytes: 80, selectShare: 0.025 };
    const rows = [
      {
        variant: 'run f32 dense',
        kind: 'dense',
        ...ours,
        tokensPerSecond: 10,
        speedupOverDense: 1,
        over: over(1.1, 0.95, 0.9),
      },
      {
        variant: 'run f32 60 %',
        kind: 'sparse',
        ...ours,
        tokensPerSecond: 15,
        speedupOverDense: 1.5,
        over: over(1.6, 1.4, 1.3),
      },
      {
        variant: 'run-l1 f32 60 %',
        kind: 'sparse',
        ...ours,
        tokensPerSecond: 17,
        speedupOverDense: 1.7,
        over: over(2, 1.6, 1.5),
      },
      { variant: 'torch f32', precision: 'f32', kind: 'torch', tokensPerSecond: 9, peakProcessBytes: 100, over: {} },
      {
        variant: 'torch f32-compile',
        precision: 'f32',
        kind: 'torch',
        tokensPerSecond: 10,
        peakProcessBytes: 90,
        over: {},
      },
      { variant: 'torch bf16', precision: 'bf16', kind: 'torch', tokensPerSecond: 11, peakProcessBytes: 100, over: {} },
    ];
    const runs = { run: { step: 1, hiddenL1: 0 }, 'run-l1': { step: 1, hiddenL1: 0.01 } };
    const results = { ...RESULTS, peers: { runs, machine: MACHINE, summary: { bestTorch: 'torch bf16', rows } } };
    expect(value(results, 'own dense twin, f32')).toBe(1.5);
    expect(value(results, 'own dense twin, bf16')).toBeNull();
    expect(value(results, 'dense twin against the best of PyTorch in f32')).toBe(0.95);
    expect(value(results, "PyTorch's best mode")).toBe(1.3);
    expect(value(results, 'PyTorch f32 with torch.compile')).toBe(1.4);
    expect(value(results, "PyTorch's best mode, with hiddenL1")).toBe(1.5);
    expect(value(results, "memory of the process, of that of PyTorch's best mode")).toBe(0.8);
    expect(value(results, 'own dense twin, dim 1024')).toBe(1.85);
    const line = (text) => cells(lineWith(blocksOf(results).targets, text));
    expect(line('| own dense twin, f32')).toEqual(['', 'own dense twin, f32', 'at least 1.45', '1.50', 'met', '']);
    expect(line('| selection').slice(2, 5)).toEqual(['at most 3.0 %', '2.5 %', 'met']);
    expect(line('| PyTorch f32 with').slice(2, 5)).toEqual(['at least 2.00', '1.40', 'missed']);
  });
});

describe('the page', () => {
  it('keeps its prose and fills every block', () => {
    const { text, figures } = generate(DOC, RESULTS);
    const prose = (page) => page.replace(/(<!-- generated: [\w-]+ -->)[\s\S]*?(<!-- \/generated -->)/g, '$1$2');
    expect(prose(text)).toBe(prose(DOC));
    expect(generate(text, RESULTS).text).toBe(text);
    const shown = [...text.matchAll(/figures\/(training-[\w-]+\.svg)/g)].map(([, name]) => name);
    expect(Object.keys(figures).sort()).toEqual(shown.sort());
    // The twin is a line, all other rows are dots: natural zeros and three sparsities.
    expect(figures['training-sparsity.svg'].match(/<circle/g)).toHaveLength(4);
    for (const svg of Object.values(figures)) expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('refuses a block without content and content without a block', () => {
    expect(fillBlocks('a\n<!-- generated: x -->\nold\n<!-- /generated -->\nb', { x: 'new' })).toBe(
      'a\n<!-- generated: x -->\nnew\n<!-- /generated -->\nb',
    );
    expect(() => fillBlocks('<!-- generated: x -->\n<!-- /generated -->', {})).toThrow(/"x"/);
    expect(() => fillBlocks('text', { x: '' })).toThrow(/no block for x/);
  });

  it('as committed is what the committed results give', () => {
    const { text, figures } = generate(DOC, readResults(path.join(ROOT, 'bench/results')));
    expect(text, 'run node bench/training-speed-doc.mjs').toBe(DOC);
    for (const [name, svg] of Object.entries(figures)) {
      const file = path.join(ROOT, 'docs/figures', name);
      expect(existsSync(file) && readFileSync(file, 'utf8'), 'run node bench/training-speed-doc.mjs').toBe(svg);
    }
  });
});

it('staysAbove is where a line comes to a level for good', () => {
  const points = [
    [0, 1.1],
    [1, 0.8],
    [2, 1.2],
    [3, 1.4],
  ];
  expect(staysAbove(points, 1)).toBeCloseTo(1.5);
  expect(staysAbove(points, 0.5)).toBe(0);
  expect(staysAbove(points, 1.5)).toBeNull();
});

it('an axis spans the values in round steps', () => {
  expect(axis(0.93, 1.62)).toEqual({
    min: 0.8,
    max: 1.8,
    ticks: [
      [0.8, '0.8'],
      [1, '1.0'],
      [1.2, '1.2'],
      [1.4, '1.4'],
      [1.6, '1.6'],
      [1.8, '1.8'],
    ],
  });
});
