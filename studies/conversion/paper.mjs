/** The numbers of the paper that ours stand beside: arXiv 2407.10969v3, tables 1 to 4; accuracies in percent, mean of five tasks. */

/** Table 1, Mistral-7B continue-trained on 40 B tokens; zeros are those of table 2, of all inputs. */
export const CONTINUED = [
  { method: 'dense', activated: '7.0 of 7.0 B', zeros: 0, mean: 64.6, ours: 'dense-trained' },
  { method: 'ReLUfication', activated: '5.0', zeros: 28.3, mean: 60.8, ours: 'relufication-2' },
  { method: 'dReLU', activated: '5.4', zeros: 23.0, mean: 61.0, ours: 'drelu' },
  { method: 'Q-Sparse, 40 and 60 %', activated: '3.8', zeros: 45.7, mean: 63.7, ours: 'qsparse' },
  { method: 'Q-Sparse, 50 and 80 %', activated: '2.9', zeros: 58.2, mean: 61.7, ours: 'qsparse-50' },
];

/** Tables 3 and 4, fine-tuned on OpenOrca; the sparse models of about 4 B activated parameters beside the dense one of as many. */
export const FINE_TUNED = [
  { method: 'dense', base: 'Mistral-7B', activated: '7.0', mean: 66.8, ours: 'sft-dense' },
  { method: 'Q-Sparse', base: 'Mistral-7B', activated: '3.8', mean: 65.9, ours: 'sft-sparse' },
  { method: 'Q-Sparse', base: 'Mistral-7B', activated: '4.3', mean: 66.4 },
  { method: 'Block Q-Sparse', base: 'Mistral-7B', activated: '3.8', mean: 65.0, ours: 'sft-block' },
  { method: 'Block Q-Sparse', base: 'Mistral-7B', activated: '4.3', mean: 65.9 },
  { method: 'dense', base: 'Qwen1.5-7B', activated: '6.5', mean: 61.2, ours: 'sft-dense' },
  { method: 'dense', base: 'Qwen1.5-4B', activated: '3.2', mean: 55.9 },
  { method: 'Q-Sparse', base: 'Qwen1.5-7B', activated: '3.6', mean: 59.2, ours: 'sft-sparse' },
  { method: 'Q-Sparse', base: 'Qwen1.5-7B', activated: '4.1', mean: 60.1 },
  { method: 'Block Q-Sparse', base: 'Qwen1.5-7B', activated: '3.6', mean: 58.6, ours: 'sft-block' },
  { method: 'Block Q-Sparse', base: 'Qwen1.5-7B', activated: '4.1', mean: 59.7 },
];
