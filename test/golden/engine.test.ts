/**
 * The inference engine against PyTorch: the logits of every position of golden/qsparse_layer, token by token and as a
 * prefill. The engine shares no code of the forward pass with the model that trains, so both are held to the same file.
 */

import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { Engine } from '../../src/infer/engine.ts';
import { SingleSequence } from '../../src/infer/single-sequence.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { fromHfWeights } from '../../src/model/hf-weights.ts';
import type { PackOptions } from '../../src/model/pack-plan.ts';
import { packWeights } from '../../src/model/pack-weights.ts';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import { Transformer } from '../../src/model/transformer.ts';
import { weightsOfParameters } from '../../src/model/weights.ts';
import { type GoldenBackend, goldenBackends } from './golden-backends.ts';
import { difference, missing, readArrays, readJson, sharedPath } from './golden-file.ts';

const VARIANTS = [
  ...['dense-swiglu', 'dense-swiglu-tied', 'topk50-swiglu', 'topk40-relu2', 'topk60-relu2-rescale'],
  ...['block16of32-relu2', 'moe-topk50', 'topk50-relu2-int8', 'bitnet-topk50-relu2'],
];
const SEQ_LEN = 16;
const VOCAB = 97;
/** Two independent float32 programs differ by at most 2e-6 on these logits. */
const TOLERANCE = 1e-5;

// The engine computes in f32: what the f64 model adds is tested where models train.
for (const target of (await goldenBackends()).filter(({ dtype }) => dtype === 'f32')) {
  describe(`engine against qsparse_layer on ${target.name}`, () => {
    for (const variant of VARIANTS) {
      const reason = missing(sharedPath('golden', 'qsparse_layer', `${variant}.safetensors`));
      it.skipIf(reason !== null)(`${variant}${reason ? ` (${reason})` : ''}`, () => compare(target, variant));
    }
    const bitnet = 'bitnet-topk50-relu2';
    const reason = missing(sharedPath('golden', 'qsparse_layer', `${bitnet}.safetensors`));
    for (const layout of ['fused', 'channels'] as const) {
      it.skipIf(reason !== null)(`${bitnet}, packed as ternary weights, ${layout}`, () =>
        compare(target, bitnet, { dtype: 'ternary', layout }),
      );
    }
  });
}

function compare({ backend, dtype }: GoldenBackend, variant: string, packed?: PackOptions): void {
  const { config } = readJson<{ config: Record<string, never> }>(
    sharedPath('golden', 'qsparse_layer', `${variant}.json`),
  );
  const arrays = readArrays(sharedPath('golden', 'qsparse_layer', `${variant}.safetensors`));
  const model = Transformer.create(configOf(config), backend, { seed: 0, dtype });
  fromHfWeights(model.parameters, (name) => arrays.get(name) as never);
  const parameters = model.multipliedParameters();
  const weights = packed
    ? packWeights(model.config, parameters, packed, new Arena(backend))
    : weightsOfParameters(model.config, parameters);
  const engine = new Engine(model.config, weights, backend);
  const sequence = new SingleSequence(engine);
  const allIds = [...arrays.get('input_ids')!.data];
  const logits = arrays.get('logits')!.data;

  for (const row of [0, 1]) {
    const ids = allIds.slice(row * SEQ_LEN, (row + 1) * SEQ_LEN);
    const expected = (position: number) => {
      const first = (row * SEQ_LEN + position) * VOCAB;
      return logits.slice(first, first + VOCAB);
    };
    sequence.reset();
    for (let position = 0; position < SEQ_LEN; position++) {
      const got = sequence.decode(ids[position]);
      expect(difference(got, expected(position)).maxAbs, `row ${row}, decode ${position}`).toBeLessThan(TOLERANCE);
    }
    for (const length of [2, 9, SEQ_LEN]) {
      sequence.reset();
      const got = sequence.prefill(ids.slice(0, length));
      expect(difference(got, expected(length - 1)).maxAbs, `row ${row}, prefill ${length}`).toBeLessThan(TOLERANCE);
    }
  }
  engine.dispose();
}

function configOf(config: Record<string, never>): ModelConfig {
  const { act, sparsity, block, rescale, tiedEmbeddings, int8, ternary } = config;
  const { a, b, c, d } = sparsity as Record<string, number>;
  const fields = ['dim', 'hiddenDim', 'nLayers', 'nHeads', 'nKvHeads', 'vocabSize', 'ropeTheta', 'normEps'] as const;
  const { nExperts, nExpertsPerToken, expertHiddenDim } = config;
  return resolveConfig({
    ...(Object.fromEntries(fields.map((field) => [field, config[field]])) as never as ModelConfig),
    ...(nExperts > 0 && { nExperts, nExpertsPerToken, hiddenDim: expertHiddenDim }),
    tiedEmbeddings,
    seqLen: SEQ_LEN,
    activation: act === 'swiglu' ? 'silu' : 'relu2',
    ...(block > 0 && { sparsifier: 'block', blockSize: block }),
    sparsity: { qkv: a, o: b, gateUp: c, down: d },
    rescale: rescale ? 'l2' : 'none',
    activationFormat: int8 ? 'int8' : 'float',
    weightFormat: ternary ? 'ternary' : 'float',
  });
}
