/**
 * The models of the study in docs/findings.md, one recipe each: the same shape, data order, steps and rate, and one thing changed;
 * those of 1.58 bit as BitNet trains them (8-bit activations, sub-norms, another rate and schedule), so that they compare among themselves.
 *
 * Command: qsparse train ablations/topk50 --text BOOKS --seed 0 --out runs/topk50
 * All of them, with what is compared: node studies/ablations/run.mjs --text BOOKS --runs FOLDER
 *
 * 1.1 M parameters (0.8 M of them in projections), 1.0 M tokens in contexts of 256. Each takes 1.5 to 5 minutes on two cores with AVX2, those called
 * deep 4 to 6; losses are in studies/ablations/results.
 */

const SHAPE = { dim: 128, hiddenDim: 352, nLayers: 4, nHeads: 4, vocabSize: 2048, seqLen: 256 };
/** Twice as deep, 4.0 M parameters: what one size cannot say. */
const DEEP = { ...SHAPE, dim: 192, hiddenDim: 528, nLayers: 8, nHeads: 6 };
/** With 55 % of its inputs zero as many parameters are activated as in the dense model of SHAPE. */
const WIDE = { ...SHAPE, dim: 192, hiddenDim: 528, nHeads: 6 };
/** Dense it activates as many parameters, head included, as the model of SHAPE does with 50 % of its inputs zero. */
const NARROW = { ...SHAPE, dim: 104, hiddenDim: 272 };
const TRAIN = { steps: 500, batchSize: 8, lr: 2e-3, schedule: 'cosine', warmupSteps: 50, validationShare: 0.1 };
const TWO_STAGE = { ...TRAIN, lr: 3e-3, schedule: 'two-stage' };
/** What the study reads: norms and zeros by layer ten times, the loss of held-out books four times, no samples. */
const OBSERVED = { validateEvery: 125, detailEvery: 50, saveEvery: 250, sampleEvery: 0, keepLast: 1 };

const POINTS = ['qkv', 'o', 'gateUp', 'down'];
const NOWHERE = { qkv: 0, o: 0, gateUp: 0, down: 0 };

function variant(model, train = TRAIN) {
  return {
    preset: 'quickstart',
    model: { ...SHAPE, sparsity: 0, activation: 'relu2', hiddenL1: 0, ...model },
    train: { ...train, ...OBSERVED },
  };
}

const bitnet = (model) =>
  variant({ activationFormat: 'int8', weightFormat: 'ternary', subNorms: true, ...model }, TWO_STAGE);

const mixture = (model) => variant({ nExperts: 8, routerLoadBalance: 0.01, routerZLoss: 0.001, ...model });

/** Top-K of 50 % in front of one point alone. */
const atPoint = (point, model) => variant({ sparsity: { ...NOWHERE, [point]: 0.5 }, ...model });

/** The L1 term on the hidden activations, with zeros of ReLU before down, and top-K of `share` before the others. */
const closing = (activation, hiddenL1, share) =>
  variant({ activation, hiddenL1, sparsity: { qkv: share, o: share, gateUp: share, down: 0 } });

export const L1_COEFFICIENTS = [3e-4, 1e-3, 3e-3, 1e-2];
const L1_GATES = ['relu', 'relu2'];

const byPoint = POINTS.flatMap((point) => [
  [`${point}-only`, atPoint(point)],
  [`${point}-only-l2`, atPoint(point, { rescale: { [point]: 'l2' } })],
]);

const byCoefficient = L1_GATES.flatMap((gate) =>
  L1_COEFFICIENTS.flatMap((coefficient) => [
    [`l1-${gate}-${coefficient}`, closing(gate, coefficient, 0)],
    [`l1-${gate}-${coefficient}-topk50`, closing(gate, coefficient, 0.5)],
  ]),
);

export const recipes = {
  dense: variant({}),
  topk30: variant({ sparsity: 0.3 }),
  topk50: variant({ sparsity: 0.5 }),
  topk60: variant({ sparsity: 0.6 }),
  topk70: variant({ sparsity: 0.7 }),
  'topk50-masked': variant({ sparsity: 0.5, gradient: 'masked' }),
  relu: variant({ sparsifier: 'relu' }),
  block50: variant({ sparsifier: 'block', blockSize: 32, sparsity: 0.5 }),

  'dense-silu': variant({ activation: 'silu' }),
  'topk50-silu': variant({ activation: 'silu', sparsity: 0.5 }),
  'wide-topk55': variant({ ...WIDE, sparsity: 0.55 }),
  'narrow-dense': variant(NARROW),
  'bitnet-dense': bitnet({}),
  'bitnet-topk50': bitnet({ sparsity: 0.5 }),
  'bitnet-wide-topk55': bitnet({ ...WIDE, sparsity: 0.55 }),
  'bitnet-narrow-dense': bitnet(NARROW),

  'moe-1of8': mixture({ nExpertsPerToken: 1 }),
  'moe-2of8-topk50': mixture({ nExpertsPerToken: 2, sparsity: { ...NOWHERE, gateUp: 0.5, down: 0.5 } }),

  // Top-K before down too, where topk50 has the natural zeros of ReLU^2 alone.
  'topk50-down': variant({ sparsity: { qkv: 0.5, o: 0.5, gateUp: 0.5, down: 0.5 } }),
  // The gate ReLU, alone and with top-K elsewhere.
  'relu-gate': closing('relu', 0, 0),
  'relu-gate-topk50': closing('relu', 0, 0.5),

  'topk50-l2': variant({ sparsity: 0.5, rescale: 'l2' }),

  'deep-dense': variant(DEEP),
  'deep-topk50': variant({ ...DEEP, sparsity: 0.5 }),
  'deep-topk50-masked': variant({ ...DEEP, sparsity: 0.5, gradient: 'masked' }),
  'deep-relu': variant({ ...DEEP, sparsifier: 'relu' }),
  ...Object.fromEntries(byPoint),
  ...Object.fromEntries(byCoefficient),
};
