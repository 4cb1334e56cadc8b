/**
 * The grid behind docs/scaling-law.md, as `qsparse law sweep` reads it: five sizes, seven sparsities, two formats, the same tokens for all.
 *
 * What was weighed:
 * - Sizes are about a factor of 2.1 apart, from 0.2 to 4 million parameters in the blocks; depth grows little, so that width, which top-K
 *   selects in, grows most.
 * - 614,400 tokens each. A law of fixed tokens needs no more than equal tokens; more would be better, and is what the three hours do not pay for.
 * - They are 1,200 steps of 2 x 256: small batches make the most of few tokens. 300 steps of 8 x 256 ended 0.25 nats higher, with seeds several
 *   times as far apart (docs/log.md).
 * - 70 cells, 20 further runs for the rates and 6 repeats are 0.63 P operations counted as dense; one thread of two side by side does 44 G a second
 *   of them (`dense` of studies/ablations/results/seed0.json: 6,126 tokens a second of 7.2 M operations), sparse runs skip a third, selection and
 *   rounding take some of that back: two to three hours on two cores.
 * - The gate is SiLU: it has no zeros of its own, so S is what was asked for, at down too, and S = 0 is dense. With ReLU^2 the dense model
 *   would already stand at some 15 % and the axis of the law would bend with training.
 * - The vocabulary is 1024: the head counts in time, not in N, and at 0.2 M it would else be most of the work.
 * - The rate is tried on the dense model of each size and format and shared by its sparsities. Three values a factor of 2 apart: the loss
 *   is flat within a factor of 1.4 around the best.
 * - Three points are trained with two more seeds: the noise that a fit has to live with.
 */

const shape = (dim, hiddenDim, nLayers, nHeads) => ({ dim, hiddenDim, nLayers, nHeads });

const SPARSITIES = [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8];
const MORE_SEEDS = [1, 2];

export const plan = {
  base: {
    preset: 'quickstart',
    model: { vocabSize: 1024, seqLen: 256, activation: 'silu', hiddenL1: 0 },
    train: {
      ...{ steps: 1200, batchSize: 2, schedule: 'cosine', warmupSteps: 100, validationShare: 0.02 },
      // The loss that counts is that of the unseen books; these are for the report of a run.
      ...{ validateEvery: 0, validationTokens: 16_384, detailEvery: 400, saveEvery: 600, sampleEvery: 0, keepLast: 1 },
    },
  },
  sizes: {
    '0.2M': shape(64, 176, 4, 4),
    '0.44M': shape(96, 256, 4, 4),
    '1.0M': shape(128, 352, 5, 4),
    '1.9M': shape(176, 484, 5, 4),
    '4.0M': shape(256, 704, 5, 4),
  },
  formats: {
    float: {},
    // BitNet b1.58: ternary weights, activations rounded to 8 bits, norms in front of the output projections.
    ternary: { model: { weightFormat: 'ternary', activationFormat: 'int8', subNorms: true } },
  },
  sparsities: SPARSITIES,
  seeds: [0],
  repeats: [
    { size: '0.44M', format: 'float', sparsity: 0, seeds: MORE_SEEDS },
    { size: '0.44M', format: 'float', sparsity: 0.6, seeds: MORE_SEEDS },
    { size: '1.0M', format: 'ternary', sparsity: 0.5, seeds: MORE_SEEDS },
  ],
  rates: [1e-3, 2e-3, 4e-3],
};
