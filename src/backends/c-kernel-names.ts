/**
 * The names of the C kernels as kernels/kernel_list.h has them. Which slots each takes is known to its wrapper in c-kernels/ and to
 * its C file alone.
 */

/** In no particular order: a build is asked for the index of each name. */
export const C_KERNEL_NAMES = [
  'matmul',
  'sparse_matmul',
  'sampled_matmul',
  'weight_matvec',
  'weight_matmul',
  'weight_dots',
  'weight_rows',
  'quantize_rows',
  'select_top_k',
  'count_non_zeros',
  'prefix_sum',
  'gather_non_zeros',
  'transpose_counts',
  'transpose_fill',
  'scatter_rows',
  'gather_at',
  'mask_rows',
  'rescale_rows',
  'rescale_rows_backward',
  'rms_norm',
  'rms_norm_backward',
  'rms_norm_backward_weight',
  'rope',
  'attention',
  'attention_backward',
  'store_kv',
  'attention_cached',
  'glu',
  'glu_backward',
  'count_open_gates',
  'gather_open_gates',
  'glu_rows',
  'glu_rows_backward',
  'embedding',
  'embedding_backward',
  'softmax_cross_entropy',
  'adamw',
  'sum_squares',
  'sum_abs',
  'add',
  'transpose',
  'scale',
  'copy',
  'fill',
] as const;

export type CKernelName = (typeof C_KERNEL_NAMES)[number];
