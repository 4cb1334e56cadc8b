/**
 * What a dense model becomes in continue-training: Q-Sparse at the two sparsities of the paper's conversions (arXiv 2407.10969, table 2), and what it is
 * compared with, on the same tokens: one million, with moments in 8 bits and recomputed blocks, so that a model of 135 M parameters trains in 4 GiB.
 *
 * Command: qsparse continue MODEL --recipe conversions/qsparse --text FILES --out runs/converted
 * ReLUfication has two stages: `relufication-1` from MODEL, then `relufication-2` from the run that it wrote, with half of the tokens each: the
 * second with those that the first has not seen. `qsparse-replayed` takes a tenth of its sequences from `--replay FILES`.
 */

const train = {
  // Four times the rate of the paper's 7 B: of 0.1 M tokens SmolLM2-135M learns more by it (docs/log.md).
  ...{ tokens: 1_000_000, lr: 2e-4, batchSize: 4, optimizerState: 'int8', recompute: true },
  ...{ validateEvery: 50, validationTokens: 16_384, saveEvery: 50, keepLast: 1, detailEvery: 0, sampleEvery: 0 },
};
const half = { ...train, tokens: 500_000 };

/** 40 % zeros at q, k, v, o, gate and up, 60 % at down: 3.8 of Mistral's 7 B parameters activated. */
const moderate = { qkv: 0.4, o: 0.4, gateUp: 0.4, down: 0.6 };
/** 50 and 80 %: 2.9 of them. */
const high = { qkv: 0.5, o: 0.5, gateUp: 0.5, down: 0.8 };

export const recipes = {
  qsparse: { model: { sparsity: moderate }, train },
  'qsparse-50': { model: { sparsity: high }, train },
  /** With the dense model as the teacher. */
  'qsparse-distilled': { model: { sparsity: moderate }, train: { ...train, distill: 0.5 } },
  'qsparse-50-distilled': { model: { sparsity: high }, train: { ...train, distill: 0.5 } },
  'qsparse-replayed': { model: { sparsity: moderate }, train: { ...train, replayShare: 0.1 } },
  /** The same shares in blocks of 32: 20 of them stay, before down 13. */
  block: { model: { sparsifier: 'block', sparsity: moderate, blockSize: 32 }, train },
  /** The same tokens and nothing else. */
  dense: { model: { sparsifier: 'none' }, train },
  'relufication-1': { model: { sparsifier: 'none', activation: 'relu' }, train: half },
  'relufication-2': {
    model: { sparsifier: 'norm-relu', activation: 'relu' },
    train: { ...half, skipTokens: half.tokens },
  },
  drelu: { model: { sparsifier: 'drelu', activation: 'relu' }, train },
};
