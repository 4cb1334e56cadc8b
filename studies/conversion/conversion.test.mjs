/** The plan of the conversion study, what it takes, its texts; and docs/conversion.md against results made by hand and the committed ones. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../bench/lib/processes.mjs';
import { recipes as conversions } from '../../recipes/conversions.mjs';
import { recipes as fineTuning } from '../../recipes/fine-tuning.mjs';
import { scoreOf, trainingOf, windowsOf } from './collect.mjs';
import { generate, RESULTS } from './document.mjs';
import { ratesOf, secondsOf, timeText, workOf } from './estimate.mjs';
import { making, planned, STUDIES, sharesText, unitsOf } from './plan.mjs';
import { isMeasured, protocolOf } from './protocol.mjs';
import { Results } from './results.mjs';
import { finalCheckpoint, isFinished } from './runs.mjs';
import { isTimed } from './speed.mjs';
import { blocksOf } from './tables.mjs';
import { interleaved, middleOf, spread, unwrapped } from './texts.mjs';

const { entries } = STUDIES.smollm2;
const entry = (name) => entries.find((one) => one.name === name);
let folder;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'qsparse-conversion-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const SETTINGS = {
  ...{ runs: 'runs', model: 'm.gguf', data: 'eval', tasks: STUDIES.smollm2.tasks, parameters: 135e6 },
  ...{ tokens: 1000, limit: 100, maxTokens: 8192, window: 512, seqLen: 512, trainingOptions: [], threads: '1' },
  texts: {
    ...{ trained: ['books'], calibration: 'c.txt', conversations: ['chats'] },
    perplexity: [
      { name: 'wikitext2', file: 'w.txt' },
      { name: 'novels', file: 'n.txt' },
    ],
  },
};

describe('the plan', () => {
  it('trains by recipes that there are, each once on as many tokens, and has what an entry begins with before it', () => {
    const trained = entries.filter(({ recipe, kind }) => recipe !== undefined && kind !== 'start');
    const all = [
      ...Object.keys(conversions).map((name) => `conversions/${name}`),
      ...Object.keys(fineTuning).map((name) => `fine-tuning/${name}`),
    ];
    const lengths = trained.map(({ recipe, share }) => `${recipe} ${share ?? 1}`);
    expect(new Set(lengths).size).toBe(lengths.length);
    expect(trained.map(({ recipe }) => recipe).filter((name) => !all.includes(name))).toEqual([]);
    expect(planned(STUDIES.stories15M.entries, ['qsparse', 'dense-trained'])).toHaveLength(2);
    expect(planned(entries, ['teal-40-after-training']).map(({ name }) => name)).toEqual([
      ...['dense-trained', 'teal-40-after-training'],
    ]);
    for (const [i, { after }] of entries.entries()) {
      if (after) expect(entries.slice(0, i).map(({ name }) => name)).toContain(after);
    }
    expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length);
  });

  it('takes the shares of the recipes for what is compared untrained', () => {
    expect(entry('topk-as-qsparse').sparsity).toEqual(conversions.qsparse.model.sparsity);
    expect(entry('topk-as-qsparse-50').sparsity).toEqual(conversions['qsparse-50'].model.sparsity);
    expect(fineTuning.sparse.model.sparsity).toEqual(conversions.qsparse.model.sparsity);
    expect(entry('topk-after-training').sparsity).toEqual(conversions.qsparse.model.sparsity);
    expect(entry('topk-after-training-50').sparsity).toEqual(conversions['qsparse-50'].model.sparsity);
  });

  it('does what is cheap first, and a training before what is measured of it', () => {
    const units = unitsOf('smollm2').map(({ entry: { name }, part }) => `${name} ${part}`);
    const at = (unit) => units.indexOf(unit);
    expect(at('cats-50 perplexity')).toBeLessThan(at('dense activated'));
    expect(at('cats-50 tasks')).toBeLessThan(at('start-dense training'));
    expect(at('start-qsparse-50 training')).toBeLessThan(at('qsparse training'));
    expect(at('qsparse training') + 1).toBe(at('qsparse perplexity'));
    expect(at('dense-trained training')).toBeLessThan(at('topk-after-training perplexity'));
    expect(at('relufication-1 training')).toBeLessThan(at('relufication-2 training'));
    expect(unitsOf('stories15M').filter(({ part }) => part === 'tasks')).toEqual([]);
    expect(new Set(units).size).toBe(units.length);
  });

  it('chooses by name, else by parts of names, with what is needed before', () => {
    const names = (...wanted) => planned(entries, wanted).map(({ name }) => name);
    expect(names('qsparse')).toEqual(['qsparse']);
    expect(names('relufication-2')).toEqual(['relufication-1', 'relufication-2']);
    expect(names('teal-', 'cats')).toEqual([
      ...['teal-uniform-50', 'teal-40', 'teal-50', 'cats-50', 'dense-trained'],
      ...['teal-40-after-training', 'teal-50-after-training'],
    ]);
    expect(() => planned(entries, ['qsparze'])).toThrow('no entry is called "qsparze"');
    expect(planned(entries, undefined)).toBe(entries);
  });

  it('writes shares as the command line has them', () => {
    expect([sharesText(0.4), sharesText({ qkv: 0.4, down: 0.6 })]).toEqual(['0.4', 'qkv=0.4,down=0.6']);
  });
});

describe('how a model is made', () => {
  const made = (name) => making(entry(name), SETTINGS);
  const args = (step) => step.args().join(' ');

  it('of the dense checkpoint', () => {
    expect(made('topk-30').steps).toHaveLength(1);
    expect(args(made('topk-30').steps[0])).toBe('convert m.gguf runs/base --to checkpoint');
    expect(made('topk-30')).toMatchObject({
      evaluated: 'runs/base',
      sparsity: 0.3,
      items: 'runs/items/topk-30',
    });
    expect(made('topk-as-qsparse').steps[1].derive()).toEqual({
      from: 'runs/base',
      sparsity: entry('topk-as-qsparse').sparsity,
    });
    expect(made('wina-50')).toMatchObject({ evaluated: 'runs/wina', sparsity: 0.5 });
    expect(args(made('wina-50').steps[1])).toBe('convert runs/base runs/wina --to checkpoint --wina');
    expect(args(made('teal-50').steps[1])).toBe(
      'calibrate runs/base --sparsity 0.5 --allocation greedy --max-tokens 8192 --text c.txt --out runs/teal-50',
    );
    expect(args(made('cats-50').steps[1])).toContain('--sparsity gate=0.5 --max-tokens');
  });

  it('by training, a second stage on the last checkpoint of the first, with half of the tokens', () => {
    const command = (one) => args(one.steps[1]);
    const qsparse = made('qsparse');
    expect(qsparse).toMatchObject({ run: 'runs/tokens-1000/qsparse', items: 'runs/tokens-1000/items/qsparse-final' });
    expect(command(qsparse)).toBe(
      'continue runs/base --recipe conversions/qsparse --text books --out runs/tokens-1000/qsparse --seq-len 512 --tokens 1000',
    );
    expect(command(made('start-dense'))).toMatch(/--recipe conversions\/dense .*--steps 1 --lr 1e-12/);
    expect(command(made('sft-sparse'))).toMatch(/^sft runs\/base --recipe fine-tuning\/sparse --data chats/);
    const first = path.join(folder, 'tokens-1000/relufication-1');
    saveRun(first, 244);
    const second = command(making(entry('relufication-2'), { ...SETTINGS, runs: folder }));
    expect(second.startsWith(`continue ${path.join(first, 'checkpoints/step-000244')} `)).toBe(true);
    expect(second.endsWith('--tokens 500 --skip-tokens 500')).toBe(true);
    const ofStories = (name) =>
      making(
        STUDIES.stories15M.entries.find((one) => one.name === name),
        SETTINGS,
      );
    expect(command(ofStories('dense-trained')).endsWith('--tokens 125')).toBe(true);
    // Its own options stand behind those of the study, where the last of two counts.
    const taught = command(
      making(STUDIES.stories15M.entries.at(-1), { ...SETTINGS, trainingOptions: ['--lr', '5e-5'] }),
    );
    expect(taught.endsWith('--lr 5e-5 --distill 1 --lr 1e-4 --tokens 2000')).toBe(true);
  });

  it('of a trained one, beside the others of its length', () => {
    const trained = path.join(folder, 'tokens-1000/dense-trained');
    saveRun(trained, 488);
    const last = path.join(trained, 'checkpoints/step-000488');
    const made = (name) => making(entry(name), { ...SETTINGS, runs: folder });
    expect(made('topk-after-training')).toMatchObject({
      evaluated: path.join(folder, 'tokens-1000/topk-after-training'),
      items: path.join(folder, 'tokens-1000/items/topk-after-training'),
    });
    expect(made('topk-after-training').steps[1].derive().from).toBe(last);
    expect(args(made('teal-40-after-training').steps[1])).toMatch(new RegExp(`^calibrate ${last} --sparsity 0.4 `));
    // Nothing is read before its turn: the other length has not been trained.
    expect(making(entry('topk-after-training'), { ...SETTINGS, runs: folder, tokens: 2000 }).steps).toHaveLength(2);
  });

  it('is done when the last checkpoint is there, and the validation behind it', () => {
    const run = path.join(folder, 'run');
    expect(isFinished(run)).toBe(false);
    saveRun(run, 40, { steps: 50 });
    expect(isFinished(run)).toBe(false);
    saveRun(run, 50, { steps: 50, progress: { validationDue: true } });
    expect(isFinished(run)).toBe(false);
    saveRun(run, 50, { steps: 50 });
    expect(isFinished(run)).toBe(true);
    expect(finalCheckpoint(run)).toBe(path.join(run, 'checkpoints', 'step-000050'));
  });
});

/** Of a run directory what says how far it is: a run of so many `steps`, and a checkpoint of one of them. */
function saveRun(run, step, { steps = step, progress = {} } = {}) {
  const checkpoint = path.join(run, 'checkpoints', `step-${String(step).padStart(6, '0')}`);
  mkdirSync(checkpoint, { recursive: true });
  writeFileSync(path.join(run, 'run.json'), JSON.stringify({ train: { steps } }));
  writeFileSync(path.join(checkpoint, 'state.json'), JSON.stringify({ state: { progress: { step, ...progress } } }));
}

describe('speed', () => {
  it('is measured once of a model, and again of one that was trained longer', () => {
    const from = 'tokens-1000/qsparse/checkpoints/step-000002';
    const speeds = { qsparse: { from } };
    expect(isTimed(undefined, entry('qsparse'), from)).toBe(false);
    expect(isTimed(speeds, entry('qsparse'), from)).toBe(true);
    expect(isTimed(speeds, entry('qsparse'), 'tokens-2000/qsparse/checkpoints/step-000004')).toBe(false);
    expect(isTimed(speeds, entry('qsparse-50'), from)).toBe(false);
  });
});

describe('scores', () => {
  it('keep what was answered, in the order of the items', () => {
    const record = (item, acc, acc_norm) => ({ task: 'arc_easy', item, metrics: { acc, acc_norm } });
    const saved = [
      record(2, 1, 0.25),
      record(0, 0, 1),
      { task: 'mmlu', item: 1, metrics: { acc: 1 } },
      record(1, 0, 0),
    ];
    const score = { task: 'arc_easy', count: 3, metrics: { acc: {}, acc_norm: {} } };
    expect(scoreOf(score, saved).values).toBe('1,0,0.25');
    expect(() => scoreOf({ ...score, count: 4 }, saved)).toThrow('4 items were scored, the records have 3');
  });

  it('differ by what both models answered: an item that is as hard for both adds nothing to the error', () => {
    const scores = (values) => ({ tasks: { scores: [{ task: 't', items: 10, metrics: {}, values }] } });
    const models = { a: scores('1,1,1,1,1,0,0,0,0,0'), b: scores('1,1,1,1,0,0,0,0,0,0'), c: {} };
    const results = new Results({ smollm2: { models } }, {}).of('smollm2');
    // One of ten differs: mean 0.1, variance (0.9^2 + 9 * 0.1^2) / 9 = 0.1.
    const found = { value: expect.closeTo(0.1), error: expect.closeTo(0.1) };
    expect(results.scoreOver('a', 'b', ['t'])).toEqual(found);
    expect(results.scoreOver('a', 'c', ['t'])).toBeNull();
  });
});

describe('nats', () => {
  it('are kept of each window, in their order', () => {
    const window = (item, nats, tokens = 511) => ({ item, window: { tokens, nats } });
    const saved = [{ 'qsparse-eval': 2 }, window(1, 1022), window(0, 511.0511)];
    expect(windowsOf({ tokens: 1022 }, saved)).toEqual({ windows: '1.00010,2.00000' });
    // Of a file that was begun with more of them, the first.
    expect(windowsOf({ tokens: 511 }, saved)).toEqual({ windows: '1.00010' });
    const ragged = [window(0, 511), window(1, 100, 50)];
    expect(windowsOf({ tokens: 561 }, ragged)).toEqual({ windows: '1.00000,2.00000', windowTokens: '511,50' });
    expect(() => windowsOf({ tokens: 540 }, ragged)).toThrow('2 windows have 561 tokens, and 540 were scored');
  });

  it('differ window by window: text that is as hard for both adds nothing to the error', () => {
    const windows = (text) => ({ perplexity: { texts: { wikitext2: { windows: text } } } });
    const models = { a: windows('2,4,9'), b: windows('1,2,9'), c: {} };
    const results = new Results({ smollm2: { models } }, {}).of('smollm2');
    // 1, 2, 0: mean 1, variance 1 over 3 windows.
    const found = { value: expect.closeTo(1), error: expect.closeTo(Math.sqrt(1 / 3)) };
    expect(results.natsOver('a', 'b', 'wikitext2')).toEqual(found);
    expect(results.natsOver('a', 'c', 'wikitext2')).toBeNull();
    expect(results.natsOver('a', 'b', 'novels')).toBeNull();
    // Of windows of 1, 1 and 2 tokens: 0.75 a token, from which they are 0.25, 1.25 and twice -0.75.
    const sized = windows('2,4,9');
    sized.perplexity.texts.wikitext2.windowTokens = '1,1,2';
    const weighted = new Results({ smollm2: { models: { ...models, a: sized } } }, {}).of('smollm2');
    const error = Math.sqrt((0.25 ** 2 + 1.25 ** 2 + 1.5 ** 2) * (3 / 2)) / 4;
    expect(weighted.natsOver('a', 'b', 'wikitext2')).toEqual({
      ...{ value: expect.closeTo(0.75), error: expect.closeTo(error) },
    });
  });
});

describe('the estimate', () => {
  const unit = (name, part) => ({ entry: entry(name), part });

  it('is work over rate, and the rate that of what is on file', () => {
    expect(workOf(unit('dense', 'perplexity'), SETTINGS)).toBe(16_384);
    expect(workOf(unit('dense', 'tasks'), SETTINGS)).toBe(500);
    expect(workOf(unit('relufication-1', 'training'), SETTINGS)).toBe(500);
    expect(workOf(unit('qsparse-tenth', 'training'), SETTINGS)).toBe(100);
    expect(workOf(unit('qsparse-distilled-tenth', 'training'), SETTINGS)).toBeGreaterThan(100);
    const units = unitsOf('smollm2');
    const first = ratesOf({}, units, SETTINGS);
    const models = {
      dense: { perplexity: { seconds: 100, work: 5000 } },
      'topk-30': { perplexity: { seconds: 60, work: 3000 } },
    };
    const rates = ratesOf(models, units, SETTINGS);
    expect(rates).toEqual({ ...first, perplexity: 50 });
    expect(secondsOf(unit('topk-50', 'perplexity'), SETTINGS, rates)).toBeCloseTo(16_384 / 50);
    expect(secondsOf(unit('teal-50', 'perplexity'), SETTINGS, rates)).toBeGreaterThan(16_384 / 50 + 60);
    expect([timeText(10), timeText(600), timeText(9000)]).toEqual(['1 min', '10 min', '2.5 h']);
  });

  it('counts as measured what was measured by the same protocol', () => {
    const onFile = (name, part) => ({ protocol: protocolOf(unit(name, part), SETTINGS) });
    const models = {
      qsparse: { perplexity: onFile('qsparse', 'perplexity'), training: onFile('qsparse', 'training') },
      'start-dense': { training: onFile('start-dense', 'training') },
    };
    expect(isMeasured(models, unit('qsparse', 'perplexity'), SETTINGS)).toBe(true);
    expect(isMeasured(models, unit('qsparse', 'perplexity'), { ...SETTINGS, maxTokens: 9000 })).toBe(false);
    expect(isMeasured(models, unit('qsparse', 'training'), SETTINGS)).toBe(true);
    expect(isMeasured(models, unit('qsparse', 'training'), { ...SETTINGS, tokens: 2000 })).toBe(false);
    expect(isMeasured(models, unit('qsparse', 'tasks'), SETTINGS)).toBe(false);
    expect(isMeasured(models, unit('start-dense', 'training'), { ...SETTINGS, tokens: 2000 })).toBe(true);
    expect(isMeasured(models, unit('qsparse', 'perplexity'), { ...SETTINGS, tokens: 2000 })).toBe(false);
  });
});

describe('texts', () => {
  it('are cut from the middle, and interleaved', () => {
    expect(middleOf('0123456789', 4)).toBe('3456');
    expect(middleOf('01', 4)).toBe('01');
    expect(spread(['a', 'b', 'c', 'd', 'e'], 2)).toEqual(['a', 'c', 'e', 'b', 'd']);
    expect(interleaved(['aabbc', 'xxyyzzw'], 2)).toBe('aa\nxx\nbb\nyy\nc\nzz\n\nw');
  });

  it('lose the frame of another template', () => {
    const frame =
      'Below is an instruction that describes a task. Write.\n\n### Instruction:\nWhat is it?\n\n### Response:\n';
    expect(unwrapped(frame)).toBe('What is it?');
    expect(unwrapped('What is it?')).toBe('What is it?');
  });
});

describe('the curve of a run', () => {
  it('is thinned, with its validations', () => {
    const steps = Array.from({ length: 300 }, (_, i) => ({
      ...{ type: 'step', step: i + 1, tokens: 10 * (i + 1), seconds: (i + 1) / 10, loss: 3, modelSparsity: 0.45678 },
    }));
    const validation = { type: 'validation', step: 300, tokens: 3000, seconds: 30, loss: 2.5 };
    const training = trainingOf([{ type: 'run', backend: 'native' }, ...steps, validation]);
    expect(training).toMatchObject({ tokens: 3000, trainingSeconds: 30, modelSparsity: 0.4568, backend: 'native' });
    expect(training.validation).toEqual([{ tokens: 3000, seconds: 30, loss: 2.5 }]);
    expect(training.points.length).toBeLessThanOrEqual(60);
    expect(training.points.at(-1)).toMatchObject({ tokens: 3000, loss: 3 });
  });
});

/** A model whose mean loss is `nats` on every text, with every score at `score`. */
function model(nats, score, zeros = 0, validation = []) {
  // Windows differ by as much from model to model as their mean does.
  const windows = [nats - 0.5, nats + 0.5].join();
  const text = { perplexity: Math.exp(nats), natsStderr: 0.01, zeros, windows };
  const values = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? score - 0.1 : score + 0.1)).join();
  const metrics = { acc: { value: score - 0.1, stderr: 0.05 }, acc_norm: { value: score, stderr: 0.04 } };
  return {
    perplexity: { texts: { wikitext2: text, novels: text, stories: text }, protocol: { maxTokens: 8192, window: 512 } },
    activated: { modelSparsity: zeros, activatedParameters: 1e8 * (1 - zeros) },
    tasks: { scores: STUDIES.smollm2.tasks.map((task) => ({ task, items: 100, metrics, values })), protocol: {} },
    training: { backend: 'native avx2, 1 thread', validation: validation.map(([tokens, loss]) => ({ tokens, loss })) },
  };
}

describe('the page', () => {
  const DOC = readFileSync(path.join(ROOT, 'docs/conversion.md'), 'utf8');
  const models = Object.fromEntries(
    entries.map(({ name }, i) => [
      name,
      model(3 + i / 100, 0.5 - i / 1000, i / 100, [
        [5e5, 3.3],
        [1e6, 3.15],
      ]),
    ]),
  );
  models['start-dense'] = model(3, 0.5, 0, [[2048, 3]]);
  models['start-qsparse'] = model(4, 0.5, 0, [[2048, 4]]);
  const speed = { msPerToken: 5, denseMsPerToken: 10, overDense: 2, zeros: 0.5 };
  const speeds = { models: Object.fromEntries(entries.map(({ name }) => [name, speed])) };
  const study = { model: 'm.gguf', models };
  const FULL = new Results(
    { smollm2: study, stories15M: study, stories260K: study },
    { smollm2: speeds, stories15M: speeds },
  );
  const EMPTY = new Results({}, {});
  const lineWith = (block, text) => block.split('\n').find((line) => line.includes(text));

  it('has a line a model: zeros, activated parameters, perplexity and the difference to dense', () => {
    const block = blocksOf(FULL)['training-free'];
    expect(lineWith(block, '`topk-50`')).toBe(
      '| `topk-50` | 2.0 % | 98.0 M | 20.49 ± 0.20 | +0.020 ± 0.000 | 20.49 ± 0.20 | +0.020 ± 0.000 |',
    );
    expect(lineWith(block, '`dense`')).toMatch(/20\.09 ± 0\.20 \| - \|/);
    expect(lineWith(blocksOf(FULL)['training-free-tasks'], '`dense`')).toContain('| 50.0 ± 1.8 | - | 50.0 ± 4.0 |');
  });

  it('has the share of the damage that is repaired', () => {
    expect(FULL.of('smollm2').repaired('qsparse', 'start-qsparse')).toEqual([
      [0, 0],
      [5e5, expect.closeTo(0.7)],
      [1e6, expect.closeTo(0.85)],
    ]);
    // At a quarter: half of the way to the first validation.
    expect(lineWith(blocksOf(FULL).repaired, '`qsparse`')).toBe(
      '| `qsparse` | 1.0 M | 14.0 % | 35.0 % | 70.0 % | 85.0 % | 100.0 % |',
    );
    expect(EMPTY.of('smollm2').repaired('qsparse', 'start-qsparse')).toBeNull();
    const validation = (loss) => ({ training: { validation: [{ tokens: 1, loss }] } });
    const starts = { 'start-dense': validation(3), 'start-qsparse': validation(4) };
    const trained = { ...starts, qsparse: validation(3.4), 'dense-trained': validation(3.2) };
    const beside = new Results({ smollm2: { models: trained } }, {}).of('smollm2');
    expect(beside.repairedBeside('qsparse', 'start-qsparse', 'dense-trained')).toBeCloseTo(0.8);
    // Beside one that was trained on other tokens it says nothing.
    const longer = { ...trained, 'dense-trained': { training: { validation: [{ tokens: 2, loss: 3.2 }] } } };
    const unlike = new Results({ smollm2: { models: longer } }, {}).of('smollm2');
    expect(unlike.repairedBeside('qsparse', 'start-qsparse', 'dense-trained')).toBeNull();
    // Of a run that was validated at its end alone there is nothing between.
    const short = new Results({ smollm2: { model: 'm', models: trained } }, {});
    expect(lineWith(blocksOf(short).repaired, '`qsparse`')).toBe(
      '| `qsparse` | 0.00 M | - | - | - | 60.0 % | 80.0 % |',
    );
    expect(generate(DOC, short).figures).toEqual({});
    const { repaired, 'stories15M-repaired': ofStories } = blocksOf(FULL);
    expect([repaired, ofStories].map((block) => block.includes('beside `dense-trained`'))).toEqual([true, false]);
  });

  it('has the numbers of the paper, and ours as differences to dense', () => {
    const line = lineWith(blocksOf(FULL)['paper-continued'], 'Q-Sparse, 40');
    expect(line).toContain('| 3.8 | 45.7 % | 63.7 | -0.9 | `qsparse` |');
    expect(line).toMatch(/\| \+0\.1 ± 0\.0 \| -0\.010 ± 0\.000 \|$/);
    expect(lineWith(blocksOf(FULL)['paper-fine-tuned'], 'Block Q-Sparse | Mistral')).toContain('| 65.0 | -1.8 |');
  });

  it('says what is not measured', () => {
    const blocks = blocksOf(EMPTY);
    expect(blocks['training-free']).toMatch(/^Not measured yet: `dense`, `topk-30`.*`cats-50`\.$/);
    expect(blocks.repaired).toBe('Not measured yet.');
    const some = new Results({ smollm2: { model: 'm', models: { dense: models.dense } } }, {});
    expect(blocksOf(some)['training-free']).toMatch(/\n\| `dense` \| 0\.0 % .*\n\nNot measured yet: `topk-30`, /);
    expect(lineWith(blocks['paper-continued'], 'dReLU')).toContain(
      '| 61.0 | -3.6 | `drelu` | not measured yet | not measured yet | not measured yet |',
    );
    expect(blocks.protocol).toContain('SmolLM2-135M-Instruct: not measured yet');
    expect(blocks.speed).toContain('No decoding is measured yet');
  });

  it('draws what has points', () => {
    expect(Object.keys(generate(DOC, FULL).figures)).toEqual([
      ...['conversion-smollm2-quality.svg', 'conversion-smollm2-repaired.svg'],
      ...['conversion-stories15M-repaired.svg', 'conversion-stories260K-repaired.svg'],
    ]);
    const losses = Object.fromEntries(Object.entries(models).map(([name, { perplexity }]) => [name, { perplexity }]));
    expect(generate(DOC, new Results({ smollm2: { model: 'm', models: losses } }, {})).figures).toEqual({});
  });

  it.each([
    ['everything', FULL],
    ['nothing', EMPTY],
    ...entries.map(({ name }) => [
      name,
      new Results({ smollm2: { model: 'm', models: { [name]: models[name] } } }, {}),
    ]),
  ])('keeps its prose and is whole with %s on file', (_, results) => {
    const { text, figures } = generate(DOC, results);
    const prose = (page) => page.replace(/(<!-- generated: [\w-]+ -->)[\s\S]*?(<!-- \/generated -->)/g, '$1$2');
    expect(prose(text)).toBe(prose(DOC));
    for (const page of [text, ...Object.values(figures)]) expect(page).not.toMatch(/NaN|undefined|Infinity|null/);
  });

  it('as committed is what the committed results give', () => {
    const { text, figures } = generate(DOC, Results.read(RESULTS));
    expect(text, 'run node studies/conversion/document.mjs').toBe(DOC);
    for (const [name, svg] of Object.entries(figures)) {
      const file = path.join(ROOT, 'docs/figures', name);
      expect(existsSync(file) && readFileSync(file, 'utf8'), 'run node studies/conversion/document.mjs').toBe(svg);
    }
  });
});
