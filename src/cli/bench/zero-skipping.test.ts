import { expect, it } from 'vitest';
import { createReferenceBackend } from '../../backends/reference/reference-backend.ts';
import { Engine } from '../../infer/engine.ts';
import { resolveConfig } from '../../model/config.ts';
import { Transformer } from '../../model/transformer.ts';
import { switchableSkipping } from './zero-skipping.ts';

it('off, the same logits come from dense products alone', () => {
  const skipping = switchableSkipping(createReferenceBackend());
  const used: string[] = [];
  const { backend } = skipping;
  const kernels = new Proxy(backend.kernels, {
    get(target, name) {
      used.push(String(name));
      return Reflect.get(target, name) as unknown;
    },
  });
  const config = resolveConfig({ dim: 16, hiddenDim: 48, nLayers: 2, nHeads: 2, vocabSize: 20, seqLen: 8 });
  const model = Transformer.create(config, backend, { seed: 1 });
  const parameters = new Map(model.parameters.map(({ name, value }) => [name, value]));
  const run = (): number[] => {
    used.length = 0;
    const engine = new Engine(config, parameters, { ...backend, kernels });
    engine.prefill([1, 2, 3]);
    return [...engine.decode(4)];
  };

  const sparse = run();
  expect(used).toContain('sparseMatvec');
  skipping.enabled = false;
  const dense = run();
  expect(used).not.toContain('sparseMatvec');
  expect(used).not.toContain('sparseMatmul');
  dense.forEach((logit, id) => {
    expect(Math.abs(logit - sparse[id])).toBeLessThan(1e-6);
  });
});
