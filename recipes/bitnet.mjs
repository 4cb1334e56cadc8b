/**
 * BitNet b1.58 with Q-Sparse: ternary weights, 8-bit activations, sub-norms, 30 % of the inputs of q, k, v, o, gate and up set to zero (K = 70 % of the paper;
 * before down the natural zeros of ReLU^2), and the schedule of its table 6.
 *
 * 2.0 M parameters. On one novel (690 KB of English prose) and two busy cores 2 min 44 s; validation loss 4.26 nats, 2.12 bits per byte. Three
 * minutes are short for ternary weights: --steps 600 reaches 3.89.
 *
 * Command: qsparse train bitnet --text BOOK.txt --out runs/bitnet
 * Then, without loss: qsparse convert runs/bitnet bitnet-packed --dtype ternary
 */

export const recipe = {
  preset: 'quickstart',
  model: {
    ...{ dim: 192, hiddenDim: 512, nLayers: 4, nHeads: 4, seqLen: 128, vocabSize: 1024 },
    ...{ sparsity: 0.3, activation: 'relu2', hiddenL1: 0 },
    ...{ activationFormat: 'int8', weightFormat: 'ternary', subNorms: true },
  },
  train: { steps: 400, batchSize: 16, lr: 3e-3, schedule: 'two-stage', warmupSteps: 50 },
};
