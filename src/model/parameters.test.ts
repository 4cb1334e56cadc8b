import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { TensorPool } from '../tensor-pool.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import {
  activatedParameters,
  blockParameters,
  configuredSparsity,
  matmulParameters,
  modelSparsity,
  unroutedParameters,
} from './flops.ts';
import { fromHfWeights, toHfWeights } from './hf-weights.ts';
import { initParameters } from './init.ts';
import { countParameters, createParameters, describeParameters } from './parameters.ts';
import { PRESETS, preset } from './presets.ts';
import { resolveConfig } from './resolve-config.ts';

const sizes = { dim: 8, hiddenDim: 12, nLayers: 2, nHeads: 4, nKvHeads: 2, headDim: 2, vocabSize: 11 };

function create(tiedEmbeddings: boolean) {
  const config = resolveConfig({ ...sizes, tiedEmbeddings });
  return { config, ...createParameters(config, new TensorPool(createReferenceBackend()), 'f32') };
}

describe('describeParameters', () => {
  it('lists fused matrices with their projections, and what decays', () => {
    const list = describeParameters(create(false).config);
    const qkv = list.find(({ name }) => name === 'layers.1.qkv')!;
    expect(qkv.shape).toEqual([8, 16]);
    expect(qkv.projections).toEqual([
      { name: 'q', layer: 1, first: 0, count: 8 },
      { name: 'k', layer: 1, first: 8, count: 4 },
      { name: 'v', layer: 1, first: 12, count: 4 },
    ]);
    const block = (layer: number) => ['qkv', 'o', 'gateUp', 'down'].map((name) => `layers.${layer}.${name}`);
    expect(list.filter(({ decay }) => decay).map(({ name }) => name)).toEqual([...block(0), ...block(1), 'head']);
  });

  it('has no head where it is the embedding table', () => {
    const tied = create(true);
    expect(tied.head).toBe(tied.embedding);
    expect(countParameters(tied.config) + 88).toBe(countParameters(create(false).config));
  });
});

describe('a mixture of experts', () => {
  const config = resolveConfig({ ...sizes, nExperts: 3, nExpertsPerToken: 2 });
  const layer = 8 * 16 + 8 * 8 + 2 * 8;
  const expert = 8 * 24 + 12 * 8;

  it('has a router and the matrices of each expert in the place of one feed-forward', () => {
    const { list, layers } = createParameters(config, new TensorPool(createReferenceBackend()), 'f32');
    const ofLayer = list
      .filter(({ name }) => name.startsWith('layers.1.'))
      .map(({ name }) => name.slice('layers.1.'.length));
    const experts = [0, 1, 2].flatMap((e) => [`experts.${e}.gateUp`, `experts.${e}.down`]);
    expect(ofLayer).toEqual(['attentionNorm', 'qkv', 'o', 'ffnNorm', 'router', ...experts]);
    expect(layers[1].router!.shape).toEqual([3, 8]);
    expect([layers[1].router!.decay, layers[1].ffns.length]).toEqual([true, 3]);
    expect(layers[1].ffns[2].down.name).toBe('layers.1.experts.2.down');
  });

  it('counts what there is, what a token is sent to, and what that activates', () => {
    expect(countParameters(config)).toBe(88 + 8 + 2 * (layer + 3 * 8 + 3 * expert));
    expect(unroutedParameters(config)).toBe(2 * expert);
    expect(blockParameters(config)).toBe(2 * (layer - 16 + 2 * expert));
    expect(matmulParameters(config)).toBe(blockParameters(config) + 2 * 3 * 8 + 88);
    // Half of the inputs of down are 0: half of the rows of two experts in each of two layers.
    const half = { qkv: [0, 0], o: [0, 0], gateUp: [0, 0], down: [0.5, 0.5] };
    expect(activatedParameters(config, half)).toBe(blockParameters(config) - 2 * 2 * 6 * 8);
  });

  it('has a sub-norm in each expert, between its matrices', () => {
    const { list, layers } = createParameters(
      resolveConfig({ ...sizes, nExperts: 2, nExpertsPerToken: 1, subNorms: true }),
      new TensorPool(createReferenceBackend()),
      'f32',
    );
    const names = list.map(({ name }) => name);
    const first = names.indexOf('layers.1.experts.1.gateUp');
    expect(names.slice(first, first + 3).map((name) => name.slice('layers.1.experts.1.'.length))).toEqual([
      'gateUp',
      'ffnSubNorm',
      'down',
    ]);
    const { subNorm } = layers[1].ffns[1];
    expect([subNorm!.name, subNorm!.shape, subNorm!.decay]).toEqual(['layers.1.experts.1.ffnSubNorm', [12], false]);
    const hf = Array.from(toHfWeights(list), ({ name }) => name);
    expect(hf).toContain('model.layers.1.mlp.experts.1.ffn_sub_norm.weight');
    expect(hf).toContain('model.layers.1.self_attn.attn_sub_norm.weight');
  });

  it('has the names of Mixtral, and comes back from them', () => {
    const [from, to] = [0, 1].map(() => createParameters(config, new TensorPool(createReferenceBackend()), 'f32'));
    initParameters(from.list, config, 1);
    const hf = new Map(Array.from(toHfWeights(from.list), (array) => [array.name, array]));
    expect(hf.get('model.layers.0.mlp.gate.weight')!.shape).toEqual([3, 8]);
    const up = hf.get('model.layers.1.mlp.experts.2.up_proj.weight')!;
    expect(up.shape).toEqual([12, 8]);
    expect(up.data[5 * 8 + 3]).toBe(from.layers[1].ffns[2].gateUp.value.data[3 * 24 + 12 + 5]);
    fromHfWeights(to.list, (name) => hf.get(name));
    expect(to.list.map(({ value }) => value.data)).toEqual(from.list.map(({ value }) => value.data));
    hf.delete('model.layers.1.mlp.experts.2.up_proj.weight');
    expect(() => fromHfWeights(to.list, (name) => hf.get(name))).toThrow(
      'model.layers.1.mlp.experts.2.up_proj.weight does not fit: expected [12, 8], got nothing',
    );
  });

  it.each([
    [{ nExperts: 4, nExpertsPerToken: 5 }, 'nExpertsPerToken must be a whole number from 1 to nExperts 4, got 5'],
    [{ nExperts: 4 }, 'nExpertsPerToken must be a whole number from 1 to nExperts 4, got 0'],
    [{ nExperts: 4, nExpertsPerToken: 1.5 }, 'got 1.5'],
    [{ nExpertsPerToken: 2 }, 'nExpertsPerToken must be 0 without experts, got 2. Give nExperts'],
    [{ nExperts: -1 }, 'nExperts must be a whole number of at least 0'],
    [{ routerLoadBalance: 0.1 }, 'routerLoadBalance must be 0 without experts, got 0.1'],
    [{ nExperts: 2, nExpertsPerToken: 1, routerZLoss: -1 }, 'routerZLoss must be 0 or more, got -1'],
    [{ nExperts: 2, nExpertsPerToken: 1, routerZLoss: Number.NaN }, 'routerZLoss must be 0 or more, got NaN'],
  ])('is refused where it makes no sense: %o', (fields, message) => {
    expect(() => resolveConfig({ ...sizes, ...fields })).toThrow(UsageError);
    expect(() => resolveConfig({ ...sizes, ...fields })).toThrow(message);
  });
});

describe('presets', () => {
  it('are valid, and of the sizes that their names say', () => {
    const millions = Object.fromEntries(
      Object.keys(PRESETS).map((name) => [name, Math.round(countParameters(resolveConfig(preset(name))) / 1e5) / 10]),
    );
    expect(millions).toMatchObject({ quickstart: 3.7, 'd512-l8': 27.8 });
    // A tokenizer that is trained has 256 bytes and what ends a text.
    for (const name of Object.keys(PRESETS)) expect(preset(name).vocabSize).toBeGreaterThan(256);
    // Block parameters of table 5, in millions.
    const blocks = ['q300m', 'q700m', 'q1.3b', 'q7b'].map((name) => blockParameters(resolveConfig(preset(name))) / 1e6);
    expect(blocks.map(Math.round)).toEqual([302, 679, 1208, 6476]);
    // As their publishers count them.
    const counts = ['smollm2-135m', 'tinyllama-1.1b'].map((name) => countParameters(resolveConfig(preset(name))));
    expect(counts).toEqual([134_515_008, 1_100_048_384]);
    const olmoe = resolveConfig(preset('olmoe-1b-7b'));
    expect(
      [countParameters(olmoe), countParameters(olmoe) - unroutedParameters(olmoe)].map((n) => (n / 1e9).toFixed(2)),
    ).toEqual(['6.92', '1.28']);
  });

  it('names the nearest preset', () => {
    expect(() => preset('quikstart')).toThrow(UsageError);
    expect(() => preset('quikstart')).toThrow(/Did you mean "quickstart"/);
    expect(() => preset('toString')).toThrow(UsageError);
  });
});

describe('counts', () => {
  it('weigh sparsity by the parameters behind each point', () => {
    const config = resolveConfig({ ...sizes, activation: 'silu', sparsity: { down: [0.5, 0] } });
    const sparsity = configuredSparsity(config);
    expect(blockParameters(config)).toBe(2 * (8 * 16 + 8 * 8 + 8 * 24 + 12 * 8));
    expect(matmulParameters(config)).toBe(blockParameters(config) + 88);
    expect(activatedParameters(config, sparsity)).toBe(blockParameters(config) - 48);
    expect(modelSparsity(config, sparsity)).toBeCloseTo(48 / blockParameters(config), 12);
  });

  // Q-Sparse, table 2: zeros in % at QKV, Out, Up/Gate and Down of Mistral 7B, and the overall figure printed beside them.
  it.each([
    [51.4, 50, 50, 80, 58.2],
    [42, 40, 40, 60.4, 45.7],
    [12.3, 0, 10.3, 79.3, 28.3],
    [0.1, 0, 0.1, 85.5, 23],
  ])('give the overall sparsity of the paper: %f %f %f %f -> %f %%', (qkv, o, gateUp, down, overall) => {
    const mistral = { dim: 4096, hiddenDim: 14336, nLayers: 32, nHeads: 32, nKvHeads: 8, vocabSize: 32000 };
    const layers = (percent: number) => new Array<number>(32).fill(percent / 100);
    const table = { qkv: layers(qkv), o: layers(o), gateUp: layers(gateUp), down: layers(down) };
    // Printed to one decimal, from inputs of one decimal.
    expect(Math.abs(100 * modelSparsity(resolveConfig(mistral), table) - overall)).toBeLessThan(0.1);
  });
});

describe('Hugging Face weights', () => {
  it('come back as they were, transposed and split in between', () => {
    const [from, to] = [create(false), create(false)];
    initParameters(from.list, from.config, 1);
    const hf = new Map(Array.from(toHfWeights(from.list), (array) => [array.name, array]));
    expect(hf.size).toBe(2 * 9 + 3);
    const k = hf.get('model.layers.1.self_attn.k_proj.weight')!;
    expect(k.shape).toEqual([4, 8]);
    // Output 2, input 5 of k is column 8 + 2 of row 5 of qkv.
    expect(k.data[2 * 8 + 5]).toBe(from.layers[1].qkv.value.data[5 * 16 + 10]);
    fromHfWeights(to.list, (name) => hf.get(name));
    to.list.forEach(({ value }, i) => {
      expect(value.data).toEqual(from.list[i].value.data);
    });
  });

  it('have biases and norms of heads under the names of Qwen2 and Qwen3', () => {
    const config = resolveConfig({ ...sizes, qkvBias: true, qkNorm: true });
    const [from, to] = [0, 1].map(() => createParameters(config, new TensorPool(createReferenceBackend()), 'f32'));
    const { qkvBias, qNorm, kNorm } = from.layers[1];
    expect([qkvBias!.shape, qkvBias!.decay, qNorm!.shape, kNorm!.decay]).toEqual([[16], false, [2], false]);
    initParameters(from.list, config, 1);
    expect([...qkvBias!.value.data, ...kNorm!.value.data]).toEqual([...new Array<number>(16).fill(0), 1, 1]);
    qkvBias!.value.data.forEach((_, i) => {
      qkvBias!.value.data[i] = i;
    });
    kNorm!.value.data[1] = 5;
    const hf = new Map(Array.from(toHfWeights(from.list), (array) => [array.name, array]));
    const at = (name: string) => hf.get(`model.layers.1.self_attn.${name}`)!;
    expect([at('k_proj.bias').shape, [...at('k_proj.bias').data]]).toEqual([[4], [8, 9, 10, 11]]);
    expect([...at('k_norm.weight').data]).toEqual([1, 5]);
    fromHfWeights(to.list, (name) => hf.get(name));
    expect(to.list.map(({ value }) => value.data)).toEqual(from.list.map(({ value }) => value.data));
    hf.set('model.layers.1.self_attn.v_proj.bias', { ...at('v_proj.bias'), shape: [4, 1] });
    expect(() => fromHfWeights(to.list, (name) => hf.get(name))).toThrow('expected [4], got [4, 1]');
  });

  it('are refused where one is missing or of another shape', () => {
    const { list } = create(true);
    expect(() => fromHfWeights(list, () => undefined)).toThrow(FormatError);
    expect(() => fromHfWeights(list, () => ({ shape: [3, 8], data: new Float32Array(24) }))).toThrow(
      /model\.embed_tokens\.weight does not fit: expected \[11, 8\], got \[3, 8\]/,
    );
  });
});

describe('initParameters', () => {
  it('has the documented standard deviations', () => {
    const config = resolveConfig({ ...preset('tiny'), nLayers: 8 });
    const parameters = createParameters(config, new TensorPool(createReferenceBackend()), 'f32');
    initParameters(parameters.list, config, 5);
    const std = ({ value }: { value: { data: ArrayLike<number> } }) => {
      const values = Array.from(value.data);
      return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    };
    expect(std(parameters.embedding)).toBeCloseTo(0.02, 3);
    expect(std(parameters.layers[7].qkv)).toBeCloseTo(0.02, 3);
    expect(std(parameters.layers[7].ffns[0].down)).toBeCloseTo(0.005, 3);
    expect(std(parameters.layers[0].o)).toBeCloseTo(0.005, 3);
    expect(std(parameters.norm)).toBe(1);
  });
});
