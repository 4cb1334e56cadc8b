import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { findCheckpoint, readCheckpoint } from '../formats/checkpoint-directory.ts';
import type { ModelConfig } from '../model/config.ts';
import type { InitialParameters } from '../model/initial-parameters.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import { FormatError, TrainingError } from '../util/errors.ts';
import { progressOf, restoreTrainer, saveTrainer } from './checkpointing.ts';
import type { MetricsRecord, StepRecord } from './metrics.ts';
import { resolveTrainConfig, type TrainConfigInput } from './train-config.ts';
import { Trainer, type TrainerOptions, type TrainingData, type TrainingProgress } from './trainer.ts';

const SEQ_LEN = 8;
const VOCAB = 13;

/** A language of one rule, with a start that depends on (batch, row): learnable within a few steps. */
const DATA: TrainingData = {
  batch(index, batchSize, seqLen, ids, targets) {
    for (let i = 0; i < batchSize * seqLen; i++) {
      const start = (index * 5 + Math.floor(i / seqLen) * 3) % VOCAB;
      ids[i] = (start + (i % seqLen) * 2) % VOCAB;
      targets[i] = (ids[i] + 2) % VOCAB;
    }
  },
  *validationBatches(batchSize, seqLen, maxTokens = Number.POSITIVE_INFINITY) {
    for (let batch = 0; batch * batchSize * seqLen < Math.min(maxTokens, 4 * batchSize * seqLen); batch++) {
      const ids = new Int32Array(batchSize * seqLen);
      const targets = new Int32Array(batchSize * seqLen);
      DATA.batch(1000 + batch, batchSize, seqLen, ids, targets);
      if (batch === 3) targets.fill(-1, seqLen);
      yield { ids, targets };
    }
  },
  validationTokens: 100,
  validationBytes: 400,
};

const MODEL = resolveConfig({
  dim: 16,
  hiddenDim: 40,
  nLayers: 2,
  nHeads: 2,
  vocabSize: VOCAB,
  seqLen: SEQ_LEN,
  sparsity: 0.5,
  hiddenL1: 1e-3,
});

const NO_SHARES = { qkv: 0, o: 0, gateUp: 0, down: 0 };

const TRAIN: TrainConfigInput = {
  batchSize: 3,
  accumulate: 2,
  lr: 1e-2,
  detailEvery: 5,
  validateEvery: 4,
  saveEvery: 0,
};

function makeTrainer(train: TrainConfigInput, options: Partial<TrainerOptions> = {}) {
  const records: MetricsRecord[] = [];
  const trainer = new Trainer({
    model: MODEL,
    train: resolveTrainConfig({ ...TRAIN, ...train }, SEQ_LEN),
    backend: createReferenceBackend(),
    data: DATA,
    onRecord: (record) => records.push(record),
    ...options,
  });
  const steps = () => records.filter((record): record is StepRecord => record.type === 'step');
  return { trainer, records, steps };
}

/** The data, and from a batch on targets that the model has learned to be impossible: the loss jumps. */
function jumpingFrom(first: () => number): TrainingData {
  return {
    ...DATA,
    batch(index, batchSize, seqLen, ids, targets) {
      DATA.batch(index, batchSize, seqLen, ids, targets);
      if (index >= first()) for (let i = 0; i < targets.length; i++) targets[i] = (ids[i] + 5 + (index % 7)) % VOCAB;
    },
  };
}

/** Values of a model to begin with, large enough that its teacher says something. */
const readSines: InitialParameters['read'] = ({ name, shape }, out) => {
  for (let i = 0; i < out.length; i++) out[i] = shape.length === 1 ? 1 : Math.sin(i + name.length) / 3;
};

const parameterBits = (trainer: Trainer) => trainer.model.parameters.map(({ value }) => [...value.data]);

describe('a mixture of experts', () => {
  const mixture = { ...MODEL, nExperts: 4, nExpertsPerToken: 1 };

  it('writes what its routers did', async () => {
    const { trainer, records, steps } = makeTrainer({ steps: 10 }, { model: { ...mixture, routerLoadBalance: 0.5 } });
    await trainer.run();
    for (const { router } of steps()) {
      expect(router!.loss).toBeCloseTo(0.5 * router!.loadBalance, 12);
      expect(router!.loadBalance).toBeGreaterThanOrEqual(0.9);
      expect(router!.largestShare).toBeGreaterThanOrEqual(0.25);
      expect(router!.deadExperts).toBeLessThanOrEqual(0.75);
      expect(router!.z).toBeGreaterThan(0);
    }
    const [detail] = records.flatMap((record) => (record.type === 'detail' ? [record] : []));
    expect(detail.expertLoad!.map((load) => load.reduce((sum, share) => sum + share, 0))).toEqual([
      expect.closeTo(1, 12),
      expect.closeTo(1, 12),
    ]);
    const largest = Math.max(...detail.expertLoad!.flat());
    expect(steps().find(({ step }) => step === detail.step)!.router!.largestShare).toBe(largest);
    expect(detail.gradNorm.down.every((norm) => norm > 0)).toBe(true);
  });

  it('is absent from the records of a dense model', async () => {
    const { trainer, records } = makeTrainer({ steps: 5 });
    await trainer.run();
    expect(records.some((record) => 'router' in record || 'expertLoad' in record)).toBe(false);
  });
});

describe('a teacher', () => {
  it('is the model of the beginning, dense; a model that is that itself does not diverge from it', async () => {
    const dense = { ...MODEL, sparsity: NO_SHARES };
    const initial = { config: MODEL, read: readSines };
    const train = { steps: 1, distill: 0.5, lr: 1e-9 };
    const same = makeTrainer(train, { model: dense, initial });
    await same.trainer.run();
    expect(same.steps()[0].divergence).toBeLessThan(1e-9);
    const sparse = makeTrainer(train, { initial });
    await sparse.trainer.run();
    expect(sparse.steps()[0].divergence).toBeGreaterThan(1e-3);
    const { partsMs, gflops } = sparse.steps()[0];
    expect(partsMs.teacher).toBeGreaterThan(0);
    // The forward pass of the teacher is done too: without it a third less, for as long a step.
    const alone = makeTrainer({ ...train, distill: 0 }, { initial });
    await alone.trainer.run();
    const operations = ({ gflops: rate, seconds }: StepRecord) => rate * seconds;
    expect(operations(sparse.steps()[0])).toBeGreaterThan(1.2 * operations(alone.steps()[0]));
    expect(alone.steps()[0].partsMs).not.toHaveProperty('teacher');
    expect(gflops).toBeGreaterThan(0);
    expect(sparse.trainer.teacher!.parameters.every(({ gradient }) => gradient.data.length === 0)).toBe(true);
  });

  it('keeps the ReLUs of a model that was trained with them', async () => {
    const method = { activation: 'relu', sparsifier: 'drelu', sparsity: NO_SHARES, gradient: 'masked' } as const;
    const model = resolveConfig({ ...MODEL, ...method });
    const { trainer, steps } = makeTrainer(
      { steps: 1, distill: 0.5, lr: 1e-9 },
      { model, initial: { config: model, read: readSines } },
    );
    await trainer.run();
    expect(steps()[0].divergence).toBeLessThan(1e-9);
  });

  it('is missing where a run began with fresh weights', () => {
    expect(() => makeTrainer({ steps: 1, distill: 0.5 })).toThrow(/distill needs the model .* got none/);
  });
});

describe('Trainer', () => {
  it('learns, and its records say what happened', async () => {
    const { trainer, records, steps } = makeTrainer({ steps: 12, sparsityRampSteps: 4 });
    expect(await trainer.run()).toBe('done');
    const [first] = steps();
    const last = steps().at(-1)!;
    expect(first.loss).toBeGreaterThan(2.3);
    expect(last.loss).toBeLessThan(first.loss - 0.5);
    expect(last).toMatchObject({ step: 12, tokens: 12 * 2 * 3 * SEQ_LEN });
    expect(last.lr).toBeCloseTo(1e-3, 12);
    expect(last.l1).toBeGreaterThan(0);
    expect(last.gflops).toBeLessThan(last.gflopsDenseEquivalent);
    expect(last.seconds).toBeGreaterThan(steps()[10].seconds);
    expect(first.modelSparsity).toBeLessThan(last.modelSparsity);
    const { data, select, forward, backward, optimizer } = last.partsMs;
    const whole = (last.seconds - steps()[10].seconds) * 1000;
    expect(Math.min(data, select, forward, backward, optimizer)).toBeGreaterThan(0);
    expect(data + select + forward + backward + optimizer).toBeLessThanOrEqual(whole);
    expect(records.map(({ type }) => type).filter((type) => type !== 'step')).toEqual([
      ...['validation', 'detail', 'validation', 'detail', 'validation'],
    ]);
    trainer.dispose();
  });

  it('detail records have every point, projection and layer; energy kept lies between the sparsity and 1', async () => {
    const { trainer, records } = makeTrainer({ steps: 5 });
    await trainer.run();
    const detail = records.find((record) => record.type === 'detail')!;
    expect(Object.keys(detail.gradNorm).sort()).toEqual(['down', 'gate', 'k', 'o', 'q', 'up', 'v']);
    expect(Object.values(detail.gradNorm).every((norms) => norms.length === 2 && norms.every((norm) => norm > 0))).toBe(
      true,
    );
    expect(detail.sparsity.qkv).toEqual([0.5, 0.5]);
    expect(detail.sparsity.down.every((share) => share > 0.2 && share < 0.9)).toBe(true);
    expect(detail.energyKept.qkv.every((share) => share > 0.5 && share < 1)).toBe(true);
    for (const share of detail.energyKept.down) expect(share).toBeCloseTo(1, 12);
    expect(detail.peakBytes).toBe(trainer.model.pool.peakBytes);
  });

  it('validation: the mean over counted tokens, in bits per byte of the text', async () => {
    const { trainer } = makeTrainer({ steps: 1 });
    const record = (await trainer.validate())!;
    // An untrained model knows nothing: about log V nats.
    expect(record.loss).toBeCloseTo(Math.log(VOCAB), 1);
    expect(record.bitsPerByte).toBeCloseTo((record.loss / Math.LN2) * 0.25, 12);
    expect(record.best).toBe(true);
    expect((await trainer.validate())!.best).toBe(false);
    const silent = makeTrainer({ steps: 1 }, { data: { ...DATA, *validationBatches() {} } });
    expect(await silent.trainer.validate()).toBeNull();
  });

  it('accumulating is the same as one larger batch', async () => {
    const joined: TrainingData = {
      ...DATA,
      batch(index, _, seqLen, ids, targets) {
        const half = 3 * seqLen;
        for (const part of [0, 1]) {
          const range = [part * half, (part + 1) * half] as const;
          DATA.batch(index * 2 + part, 3, seqLen, ids.subarray(...range), targets.subarray(...range));
        }
      },
    };
    const accumulated = makeTrainer({ steps: 3 });
    const whole = makeTrainer({ steps: 3, batchSize: 6, accumulate: 1 }, { data: joined });
    await accumulated.trainer.run();
    await whole.trainer.run();
    accumulated.steps().forEach((record, i) => {
      expect(record.loss).toBeCloseTo(whole.steps()[i].loss, 5);
      expect(record.gradNorm).toBeCloseTo(whole.steps()[i].gradNorm, 4);
    });
  });

  it('begins behind the tokens that are passed over, in whole steps', async () => {
    const seen: number[] = [];
    const data: TrainingData = {
      ...DATA,
      batch(index, ...rest) {
        seen.push(index);
        DATA.batch(index, ...rest);
      },
    };
    // Six sequences a step in two passes: one token more than two steps of them.
    const { trainer, steps } = makeTrainer({ steps: 2, skipTokens: 12 * SEQ_LEN + 1, validateEvery: 0 }, { data });
    await trainer.run();
    expect(seen).toEqual([6, 7, 8, 9]);
    expect(steps()[0].tokens).toBe(6 * SEQ_LEN);
  });

  it('stops at a limit and at the signal, saves there, and goes on', async () => {
    const save = vi.fn();
    const { trainer } = makeTrainer({ steps: 9, validateEvery: 0 }, { save });
    expect(await trainer.run({ untilStep: 2 })).toBe('limit');
    expect(save).toHaveBeenCalledTimes(1);
    expect(await trainer.run({ maxSeconds: 0 })).toBe('limit');
    expect(trainer.progress.step).toBe(2);
    expect(await trainer.run({ signal: AbortSignal.abort() })).toBe('interrupted');
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    expect(await trainer.run({ signal: controller.signal })).toBe('interrupted');
    expect(trainer.progress.step).toBe(3);
    expect(await trainer.run()).toBe('done');
    expect(save).toHaveBeenLastCalledWith(true);
    expect(save).toHaveBeenCalledTimes(3);
  });

  it('asks for samples when they are due and passes them on', async () => {
    const sample = (step: number) =>
      Promise.resolve(step === 2 ? null : ({ type: 'sample', step, prompt: '', text: 'x' } as const));
    const { trainer, records } = makeTrainer({ steps: 6, sampleEvery: 2 }, { sample });
    await trainer.run();
    expect(records.filter(({ type }) => type === 'sample')).toHaveLength(2);
  });

  it('gives all memory back', async () => {
    const { trainer } = makeTrainer({ steps: 1 });
    await trainer.run();
    const { pool } = trainer.model;
    trainer.dispose();
    expect([pool.liveBytes, pool.heldBytes]).toEqual([0, 0]);
  });
});

describe('a run that breaks down', () => {
  const broken = (name: string) => {
    const save = vi.fn();
    const made = makeTrainer({ steps: 9, validateEvery: 0, saveEvery: 1 }, { save });
    const parameter = made.trainer.model.parameters.find((candidate) => candidate.name === name)!;
    return { ...made, save, parameter };
  };

  it('names a parameter whose values are broken, and the step, and saves nothing more', async () => {
    const { trainer, save, parameter } = broken('layers.1.o');
    await trainer.run({ untilStep: 3 });
    parameter.value.data[5] = Number.NaN;
    save.mockClear();
    await expect(trainer.run()).rejects.toThrow(
      /step 4: the loss is NaN; first not finite: the values of layers\.1\.o/,
    );
    expect(save).not.toHaveBeenCalled();
  });

  it('finds where the forward pass overflowed, and leaves the parameters as they were', async () => {
    const { trainer, parameter } = broken('layers.1.gateUp');
    await trainer.run({ untilStep: 1 });
    parameter.value.data.fill(3e38);
    const before = parameterBits(trainer);
    await expect(trainer.run()).rejects.toThrow(TrainingError);
    expect(parameterBits(trainer)).toEqual(before);
    await expect(trainer.run()).rejects.toThrow(
      /first not finite: \w*[mM]atmul with layers\.1\.gateUp \(forward pass\)/,
    );
  });

  it('names the projection whose ternary weights overflow', async () => {
    const { trainer } = makeTrainer({ steps: 2 }, { model: { ...MODEL, weightFormat: 'ternary' } });
    trainer.model.parameters.find(({ name }) => name === 'layers.1.gateUp')!.value.data.fill(3e38);
    await expect(trainer.run()).rejects.toThrow(
      /first not finite: \w*[mM]atmul with layers\.1\.gateUp \(forward pass\)/,
    );
  });

  it('names a gradient that was broken before the step', async () => {
    const { trainer, parameter } = broken('layers.0.down');
    parameter.gradient.data[0] = Number.POSITIVE_INFINITY;
    await expect(trainer.run()).rejects.toThrow(
      /step 1: the gradient norm is Infinity.*the gradient of layers\.0\.down/,
    );
  });

  it('stops when the loss stays far above its curve; nothing is saved during the spike', async () => {
    const save = vi.fn();
    let from = Number.POSITIVE_INFINITY;
    const data = jumpingFrom(() => from);
    const train = { steps: 80, validateEvery: 0, saveEvery: 1, spikeNats: 1, spikeSteps: 3, accumulate: 1 };
    const { trainer } = makeTrainer(train, { data, save });
    await trainer.run({ untilStep: 40 });
    from = 40;
    save.mockClear();
    await expect(trainer.run()).rejects.toThrow(/step 43: the loss has left its curve/);
    expect(save).not.toHaveBeenCalled();
  });

  it('takes no growth of the loss for a spike while the sparsity grows, and sees one after it', async () => {
    let from = 40;
    const data = jumpingFrom(() => from);
    const train = { steps: 90, validateEvery: 0, spikeNats: 1, spikeSteps: 3, accumulate: 1, sparsityRampSteps: 50 };
    const { trainer } = makeTrainer(train, { data });
    await trainer.run({ untilStep: 44 });
    expect(trainer.progress).toMatchObject({ step: 44, lossWindow: [], lossStreak: 0 });
    from = Number.POSITIVE_INFINITY;
    await trainer.run({ untilStep: 80 });
    from = 80;
    await expect(trainer.run()).rejects.toThrow(/step 83: the loss has left its curve/);
  });

  it('grows the L1 term along its ramp', async () => {
    const l1 = async (ramp: number) => {
      const { trainer, steps } = makeTrainer({ steps: 3, lr: 1e-9, hiddenL1RampSteps: ramp });
      await trainer.run();
      return steps().map((record) => record.l1);
    };
    const [whole, ramped] = [await l1(0), await l1(2)];
    // Half a wave: a half of the coefficient at half of the ramp.
    expect(ramped[0] / whole[0]).toBeCloseTo(0.5, 5);
    expect(ramped[2]).toBeCloseTo(whole[2], 5);
  });
});

describe('a checkpoint', () => {
  let folder: string;
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('counts on where it was stopped in a spike', async () => {
    let from = Number.POSITIVE_INFINITY;
    const data = jumpingFrom(() => from);
    const train = { steps: 80, validateEvery: 0, spikeNats: 1, spikeSteps: 3, accumulate: 1 };
    const first = makeTrainer(train, { data });
    await first.trainer.run({ untilStep: 40 });
    from = 40;
    await first.trainer.run({ untilStep: 41 });
    expect(first.trainer.progress).toMatchObject({ step: 41, lossStreak: 1 });
    folder = mkdtempSync(join(tmpdir(), 'qsparse-trainer-'));
    saveTrainer(folder, first.trainer, { tokenizer: {}, best: false });
    const checkpoint = readCheckpoint(findCheckpoint(folder, 'latest'));
    const second = makeTrainer(train, { data, progress: progressOf(checkpoint) });
    restoreTrainer(checkpoint, second.trainer);
    checkpoint.close();
    await expect(second.trainer.run()).rejects.toThrow(/step 43: the loss has left its curve/);
  });

  it.each([
    ['', {}, {}],
    [' with gradients left to chance', {}, { logitPruning: 0.03 }],
    [' of a mixture of experts', { nExperts: 4, nExpertsPerToken: 2, routerLoadBalance: 0.01, routerZLoss: 0.001 }, {}],
  ])('goes on to the same bits as a run%s that never stopped', async (_name, fields, more) => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-trainer-'));
    const model = { ...MODEL, ...fields };
    const train = { steps: 10, ...more };
    const whole = makeTrainer(train, { model });
    await whole.trainer.run();

    const first = makeTrainer(train, { model });
    await first.trainer.run({ untilStep: 6 });
    saveTrainer(folder, first.trainer, { tokenizer: {}, best: true });

    const checkpoint = readCheckpoint(findCheckpoint(folder, 'latest'));
    const second = makeTrainer(train, { model, progress: progressOf(checkpoint) });
    restoreTrainer(checkpoint, second.trainer);
    checkpoint.close();
    await second.trainer.run();

    const numbers = ({ loss, gradNorm, tokens, router }: StepRecord) => [loss, gradNorm, tokens, router];
    expect([...first.steps(), ...second.steps()].map(numbers)).toEqual(whole.steps().map(numbers));
    expect(parameterBits(second.trainer)).toEqual(parameterBits(whole.trainer));
    const validations = (records: MetricsRecord[]) =>
      records.flatMap((record) => (record.type === 'validation' ? [[record.step, record.loss, record.best]] : []));
    expect([...validations(first.records), ...validations(second.records)]).toEqual(validations(whole.records));
  });

  it.each([
    ['in the middle', 4],
    ['at the end', 8],
  ])('of a run that was stopped in its validation %s goes on with that validation', async (_where, stoppedAt) => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-trainer-'));
    const train = { steps: 8, sampleEvery: 4 };
    const sample = (step: number) => Promise.resolve({ type: 'sample', step, prompt: '', text: 'x' } as const);
    const whole = makeTrainer(train, { sample });
    await whole.trainer.run();

    const controller = new AbortController();
    const batches: number[] = [];
    const onValidation = (done: number) => {
      batches.push(done);
      if (first.trainer.progress.step === stoppedAt && done > 0) setImmediate(() => controller.abort());
    };
    const save = (best: boolean) => saveTrainer(folder, first.trainer, { tokenizer: {}, best });
    const first = makeTrainer(train, { sample, onValidation, save });
    expect(await first.trainer.run({ signal: controller.signal })).toBe('interrupted');
    expect(batches.slice(-2)).toEqual([0, 3 * SEQ_LEN]);
    expect(first.trainer.progress).toMatchObject({ step: stoppedAt, validationDue: true });

    const checkpoint = readCheckpoint(findCheckpoint(folder, 'latest'));
    const saveAgain = vi.fn();
    const second = makeTrainer(train, { sample, save: saveAgain, progress: progressOf(checkpoint) });
    restoreTrainer(checkpoint, second.trainer);
    checkpoint.close();
    expect(await second.trainer.run({ signal: AbortSignal.abort() })).toBe('interrupted');
    expect(saveAgain).not.toHaveBeenCalled();
    expect(await second.trainer.run()).toBe('done');
    expect(saveAgain.mock.calls.length).toBeGreaterThan(0);

    const known = (records: MetricsRecord[]) =>
      records.map((record) => [record.type, record.step, ...('loss' in record ? [record.loss] : [])]);
    expect(known([...first.records, ...second.records])).toEqual(known(whole.records));
    expect(parameterBits(second.trainer)).toEqual(parameterBits(whole.trainer));
    expect(second.trainer.progress.bestLoss).toBe(whole.trainer.progress.bestLoss);
    expect(second.trainer.progress.validationDue).toBe(false);
  });

  it.each<
    [name: string, train: TrainConfigInput, read?: InitialParameters['read'] | null, method?: Partial<ModelConfig>]
  >([
    ['moments in 8 bits', { optimizerState: 'int8' }],
    ['the dense model as its teacher', { distill: 0.5, distillTemperature: 2 }, readSines],
    ['ramps that have not ended', { sparsityRampSteps: 7, hiddenL1RampSteps: 6 }],
    ['adapters, and their moments in 8 bits', { loraRank: 2, optimizerState: 'int8' }, readSines],
    ['blocks', {}, null, { sparsifier: 'block', blockSize: 8 }],
    ['ReLUs', {}, null, { sparsifier: 'relu', sparsity: NO_SHARES, gradient: 'masked', activation: 'relu' }],
    ['dReLU', {}, null, { sparsifier: 'drelu', sparsity: NO_SHARES, gradient: 'masked', activation: 'relu' }],
  ])('goes on to the same bits with %s', async (_name, train, read, method) => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-trainer-'));
    const model = resolveConfig({ ...MODEL, ...method });
    const options = { model, ...(read && { initial: { config: model, read } }) };
    const whole = makeTrainer({ ...train, steps: 8 }, options);
    await whole.trainer.run();
    const first = makeTrainer({ ...train, steps: 8 }, options);
    await first.trainer.run({ untilStep: 5 });
    saveTrainer(folder, first.trainer, { tokenizer: {}, best: true });
    const checkpoint = readCheckpoint(findCheckpoint(folder, 'latest'));
    const second = makeTrainer({ ...train, steps: 8 }, { ...options, progress: progressOf(checkpoint) });
    restoreTrainer(checkpoint, second.trainer);
    checkpoint.close();
    await second.trainer.run();
    const numbers = ({ loss, gradNorm, divergence }: StepRecord) => [loss, gradNorm, divergence];
    expect([...first.steps(), ...second.steps()].map(numbers)).toEqual(whole.steps().map(numbers));
    expect(parameterBits(second.trainer)).toEqual(parameterBits(whole.trainer));
    if (train.distill) expect(whole.steps()[7].divergence).toBeGreaterThan(0);
  });

  it('in the middle of a spike removes none, though the run keeps but one', async () => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-trainer-'));
    const save = (progress: Partial<TrainingProgress>) => {
      const start = { step: 0, tokens: 0, seconds: 0, bestLoss: null, lossWindow: [], lossStreak: 0 };
      const { trainer } = makeTrainer({ steps: 9, keepLast: 1 }, { progress: { ...start, ...progress } });
      saveTrainer(folder, trainer, { tokenizer: {}, best: false });
      return readdirSync(join(folder, 'checkpoints'));
    };
    const [first, second, third, fourth] = [1, 2, 3, 4].map((step) => `step-00000${step}`);
    save({ step: 1 });
    expect(save({ step: 2 })).toEqual([second]);
    save({ step: 3, lossStreak: 1 });
    expect(save({ step: 4, lossStreak: 2 })).toEqual([second, third, fourth]);
    expect(save({ step: 1 })).toEqual([first]);
  });

  it('of another form of the moments is refused', async () => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-trainer-'));
    saveTrainer(folder, makeTrainer({ steps: 1 }).trainer, { tokenizer: {}, best: false });
    const checkpoint = readCheckpoint(findCheckpoint(folder, 'latest'));
    const { trainer } = makeTrainer({ steps: 1, optimizerState: 'int8' });
    expect(() => restoreTrainer(checkpoint, trainer)).toThrow(/tensor embedding\.m: expected U8 .*, found F32/);
    checkpoint.close();
  });

  it('of before a field of the configuration existed is taken with its default', async () => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-trainer-'));
    saveTrainer(folder, makeTrainer({ steps: 1 }).trainer, { tokenizer: {}, best: false });
    const checkpoint = readCheckpoint(findCheckpoint(folder, 'latest'));
    for (const field of ['nExperts', 'nExpertsPerToken', 'routerLoadBalance']) delete checkpoint.config[field];
    restoreTrainer(checkpoint, makeTrainer({ steps: 1 }).trainer);
    const other = makeTrainer({ steps: 1 }, { model: { ...MODEL, nExperts: 2, nExpertsPerToken: 1 } });
    expect(() => restoreTrainer(checkpoint, other.trainer)).toThrow(/nExperts .*expected 2, found 0/);
    checkpoint.close();
  });

  it('of another model is refused with the field', async () => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-trainer-'));
    saveTrainer(folder, makeTrainer({ steps: 1 }).trainer, { tokenizer: {}, best: false });
    const checkpoint = readCheckpoint(findCheckpoint(folder, 'latest'));
    const other = makeTrainer({ steps: 1 }, { model: { ...MODEL, hiddenDim: 48 } });
    expect(() => restoreTrainer(checkpoint, other.trainer)).toThrow(FormatError);
    expect(() => restoreTrainer(checkpoint, other.trainer)).toThrow(/hiddenDim .*expected 48, found 40/);
    checkpoint.close();
  });
});

describe('precision', () => {
  it('bf16 is refused where the backend has no instruction for it', () => {
    expect(() => makeTrainer({ steps: 1, precision: 'bf16' })).toThrow(
      /^\[--precision\] bf16: expected a processor with bf16 dot products .*, got reference.*\. Use f32\.$/,
    );
  });
});
