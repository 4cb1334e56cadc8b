/**
 * A small model that learns to write sentences on two cores: 3.7 M parameters, context 256.
 *
 * Command: qsparse train quickstart --text BOOK.txt --out runs/book
 * The same without sparsity, to compare with: add --sparsity 0 and another --out.
 */

export const recipe = {
  preset: 'quickstart',
  model: { sparsity: 0.6, activation: 'relu2', hiddenL1: 3e-4 },
  train: { steps: 1000, batchSize: 8, lr: 1e-3, schedule: 'cosine' },
};
