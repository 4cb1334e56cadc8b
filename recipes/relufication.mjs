/**
 * ReLU in place of a selection: the positive inputs of every projection stay, as many as there are, as in the ablation of Q-Sparse (arXiv 2407.10969, figures 8 and 9).
 * 1.0 M parameters, context 256. Beside `block`, which has the L1 term that `qsparse train` gives selections (3e-4), this has none.
 *
 * Command: qsparse train relufication --text BOOKS --out runs/relufication
 * On two cores, with 75 MB of novels as BOOKS: 1.5 minutes behind the tokenizer, validation loss 4.58, 63 % of all inputs zero.
 */

export const recipe = {
  preset: 'quickstart',
  model: { dim: 128, hiddenDim: 352, sparsifier: 'relu', activation: 'relu2' },
  train: { steps: 500, batchSize: 8, lr: 2e-3, schedule: 'cosine' },
};
