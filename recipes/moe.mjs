/**
 * A mixture of experts with sparsity inside each expert: 10.2 M parameters, 3.7 M of them for each token before a zero is skipped, as many as
 * the dense model of the recipe `quickstart`. Context 256.
 *
 * Command: qsparse train moe --text FOLDER --out runs/moe
 * The dense twin: add --experts 0 --hidden-dim 704 and another --out.
 */

export const recipe = {
  preset: 'quickstart-moe',
  model: { sparsity: 0.6, activation: 'relu2', hiddenL1: 3e-4, routerLoadBalance: 0.01, routerZLoss: 0.001 },
  train: { steps: 300, batchSize: 8, lr: 1e-3, schedule: 'cosine', validateEvery: 100 },
};
