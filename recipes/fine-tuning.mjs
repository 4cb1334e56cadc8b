/**
 * Fine-tuning on conversations, dense and sparse, with everything else the same: what the paper's tables 3 and 4 compare (arXiv 2407.10969). One epoch on a
 * cosine without weight decay, as there; a rate three to seven times those of its 7 B models (3e-6 to 7e-6), since small models take and need more, 4 rows a step where it has
 * batches of 128, and a warm-up of a tenth where it has 3 %. Moments in 8 bits and recomputed blocks, so that 135 M parameters fit in 4 GiB.
 *
 * Command: qsparse sft MODEL --recipe fine-tuning/sparse --data chats.jsonl --out runs/chats
 */

const train = { lr: 2e-5, batchSize: 4, optimizerState: 'int8', recompute: true };
const sparsity = { qkv: 0.4, o: 0.4, gateUp: 0.4, down: 0.6 };

export const recipes = {
  dense: { model: { sparsifier: 'none' }, train },
  /** 40 % zeros at q, k, v, o, gate and up, 60 % at down. */
  sparse: { model: { sparsifier: 'topk', sparsity }, train },
  /** The same shares in blocks of 32, of which 20 stay, before down 13: Block Q-Sparse, as in table 4. */
  block: { model: { sparsifier: 'block', sparsity, blockSize: 32 }, train },
  /** Adapters of rank 8 in the place of the weights. */
  adapted: { model: { sparsifier: 'topk', sparsity }, train: { ...train, lr: 2e-4, loraRank: 8 } },
};
