/**
 * A mixture of experts with sparsity inside each expert: 10.2 M parameters, 3.7 M of them for each token before a zero is skipped, as many as
 * the dense model of the recipe `quickstart`. Context 256.
 *
 * Command: qsparse train moe --text FOLDER --out runs/moe
 * The twin with one feed-forward: add --experts 0 --hidden-dim 704 and another --out.
 *
 * On three novels (1.6 MB of text), two cores with AVX2: about 3 minutes, training loss 4.4, validation loss 5.25 on a novel held out; the most
 * loaded of the 8 experts has 18 % of a layer's choices, none has 0.
 */

export const recipe = {
  preset: 'quickstart-moe',
  model: { sparsity: 0.6, activation: 'relu2', hiddenL1: 3e-4, routerLoadBalance: 0.01, routerZLoss: 0.001 },
  train: { steps: 300, batchSize: 8, lr: 1e-3, schedule: 'cosine', validateEvery: 100 },
};
