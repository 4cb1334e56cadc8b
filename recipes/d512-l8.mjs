/**
 * The shape of the training benchmark against PyTorch: 27.8 M parameters, context 256. Batches of 16,384 tokens in passes of
 * 2,048, which keeps the memory below 1.5 GiB.
 *
 * Command: qsparse train d512-l8 --text FOLDER --out runs/d512
 */

export const recipe = {
  preset: 'd512-l8',
  model: { sparsity: 0.6, activation: 'relu2', hiddenL1: 3e-4 },
  train: { steps: 3000, batchSize: 8, accumulate: 8, lr: 1e-3, schedule: 'wsd', warmupSteps: 200 },
};
