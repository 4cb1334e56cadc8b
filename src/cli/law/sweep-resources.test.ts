import { expect, it } from 'vitest';
import { preset } from '../../model/presets.ts';
import { resolveConfig } from '../../model/resolve-config.ts';
import { resolveTrainConfig } from '../../train/train-config.ts';
import { trainingBytes, workOf } from './sweep-resources.ts';

it('are those of the sequences that are trained on, whatever the context of the model', () => {
  const sized = (seqLen: number) => {
    const model = resolveConfig(preset('smollm2-135m'));
    return { model, train: resolveTrainConfig({ seqLen, batchSize: 8, steps: 10 }, model.seqLen) };
  };
  const [short, long] = [sized(256), sized(2048)];
  expect(trainingBytes(long)).toBeGreaterThan(4 * trainingBytes(short));
  // Eight times the tokens, and attention over more of them.
  expect(workOf(long.model, long.train)).toBeGreaterThan(8 * workOf(short.model, short.train));
});
