import { describe, expect, it } from 'vitest';
import { backend, engineOf, engineWith, modelOf, SHAPE, single, weightsOf } from '../../test/support/engine-fixture.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import { weightsOfParameters } from '../model/weights.ts';
import { ShapeError, UsageError } from '../util/errors.ts';
import { Engine } from './engine.ts';

describe('errors', () => {
  const model = modelOf({});

  it('names a missing parameter and a matrix of another shape', () => {
    const parameters = new Map(model.parameters.map(({ name, value }) => [name, value]));
    parameters.delete('layers.1.o');
    expect(() => weightsOfParameters(model.config, parameters)).toThrow(ShapeError);
    expect(() => weightsOfParameters(model.config, parameters)).toThrow('layers.1.o');
    const wider = resolveConfig({ ...SHAPE, hiddenDim: 96 });
    const build = () => new Engine(wider, weightsOf(model), backend);
    expect(build).toThrow(ShapeError);
    expect(build).toThrow('weights of layers.0.down: expected [96, 32], got [80, 32].');
    const silu = modelOf({ activation: 'silu' });
    expect(() => engineWith(silu, { type: 'f32', layout: 'channels' })).toThrow('a silu gate never closes');
  });

  it('says what the context holds, before anything has changed', () => {
    const engine = engineOf(model, { maxTokens: 4, maxSequences: 2 });
    const [sequence, other] = [engine.createSequence(), engine.createSequence()];
    engine.run([{ sequence, ids: [1, 2, 3], logits: 'none' }]);
    const run = (ids: number[]) => () =>
      engine.run([
        { sequence: other, ids: [7], logits: 'last' },
        { sequence, ids, logits: 'last' },
      ]);
    expect(run([4, 5])).toThrow(UsageError);
    expect(run([4, 5])).toThrow('it holds 4 tokens, 3 are in it and 2 more');
    for (const ids of [[], [50], [-1], [1.5], [Number.NaN]]) expect(run(ids)).toThrow(UsageError);
    expect([sequence.length, other.length, engine.statistics.tokens]).toEqual([3, 0, 3]);
    const expected = [...single(engineOf(model)).prefill([1, 2, 3, 4])];
    expect([...engine.run([{ sequence, ids: [4], logits: 'last' }])[0]]).toEqual(expected);
    expect(run([5])).toThrow('it holds 4 tokens, 4 are in it');
  });

  it('refuses options out of range', () => {
    for (const maxTokens of [0, 2.5, 25]) expect(() => engineOf(model, { maxTokens })).toThrow(UsageError);
    for (const count of [0, 1.5, -1]) {
      expect(() => engineOf(model, { maxSequences: count })).toThrow(UsageError);
      expect(() => engineOf(model, { maxBatchTokens: count })).toThrow(UsageError);
    }
  });

  it('refuses batches that are too large, sequences of others and one sequence twice', () => {
    const engine = engineOf(model, { maxBatchTokens: 3 });
    const sequence = engine.createSequence();
    const item = (ids: number[], of = sequence) => ({ sequence: of, ids, logits: 'last' as const });
    expect(() => engine.run([item([1, 2, 3, 4])])).toThrow('at most 3 tokens, got 4');
    expect(() => engine.run([item([1]), item([2])])).toThrow('occurs twice');
    expect(() => engine.run([item([1], engineOf(model).createSequence())])).toThrow('another engine');
    expect(sequence.length).toBe(0);
  });
});
