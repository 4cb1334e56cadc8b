/**
 * Quantised top-K: float weights, 8-bit activations, half of every input set to zero.
 *
 * Command: qsparse train int8 --text BOOK.txt --out runs/int8
 * The engine then multiplies integers: qsparse convert runs/int8 int8-packed --dtype int8
 */

export const recipe = {
  preset: 'quickstart',
  model: {
    ...{ dim: 192, hiddenDim: 512, nLayers: 4, nHeads: 4, seqLen: 128, vocabSize: 1024 },
    ...{ sparsity: 0.5, activation: 'relu2', hiddenL1: 0, activationFormat: 'int8' },
  },
  train: { steps: 600, batchSize: 16, lr: 2e-3, schedule: 'cosine', warmupSteps: 50 },
};
