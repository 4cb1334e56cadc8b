/* The names of all kernels, in the one order that their tables have: KERNELS(X) expands X(name) for each.
 *
 * all.c makes a table of functions of it, dispatch.c and wasm.c the table of names. TypeScript finds a kernel by its
 * name (src/backends/c-kernels.ts), so that the order is private to one build.
 */
#ifndef QSPARSE_KERNEL_LIST_H
#define QSPARSE_KERNEL_LIST_H

#define KERNELS(X)                                                                                                     \
  X(matmul)                                                                                                            \
  X(sparse_matmul)                                                                                                     \
  X(sampled_matmul)                                                                                                    \
  X(weight_matvec)                                                                                                     \
  X(weight_matmul)                                                                                                     \
  X(weight_dots)                                                                                                       \
  X(weight_rows)                                                                                                       \
  X(quantize_rows)                                                                                                     \
  X(fake_quantize_rows)                                                                                                \
  X(ternarize)                                                                                                         \
  X(select_top_k)                                                                                                      \
  X(select_input)                                                                                                      \
  X(select_block_top_k)                                                                                                \
  X(count_non_zeros)                                                                                                   \
  X(prefix_sum)                                                                                                        \
  X(gather_non_zeros)                                                                                                  \
  X(count_positive_at)                                                                                                 \
  X(gather_positive_at)                                                                                                \
  X(transpose_counts)                                                                                                  \
  X(transpose_fill)                                                                                                    \
  X(scatter_rows)                                                                                                      \
  X(gather_at)                                                                                                         \
  X(mask_rows)                                                                                                         \
  X(rescale_rows)                                                                                                      \
  X(rescale_rows_backward)                                                                                             \
  X(rms_norm)                                                                                                          \
  X(rms_norm_backward)                                                                                                 \
  X(rms_norm_backward_weight)                                                                                          \
  X(rms_norm_rows)                                                                                                     \
  X(rms_norm_rows_backward)                                                                                            \
  X(rms_norm_rows_backward_weight)                                                                                     \
  X(rope)                                                                                                              \
  X(attention)                                                                                                         \
  X(attention_backward)                                                                                                \
  X(store_kv)                                                                                                          \
  X(attention_cached)                                                                                                  \
  X(glu)                                                                                                               \
  X(glu_backward)                                                                                                      \
  X(count_open_gates)                                                                                                  \
  X(gather_open_gates)                                                                                                 \
  X(glu_rows)                                                                                                          \
  X(glu_rows_backward)                                                                                                 \
  X(route_tokens)                                                                                                      \
  X(route_tokens_backward)                                                                                             \
  X(gather_rows_counts)                                                                                                \
  X(gather_rows_fill)                                                                                                  \
  X(add_rows_at)                                                                                                       \
  X(embedding)                                                                                                         \
  X(embedding_backward)                                                                                                \
  X(softmax_cross_entropy)                                                                                             \
  X(softmax_divergence)                                                                                                \
  X(prune_by_chance)                                                                                                   \
  X(adamw)                                                                                                             \
  X(adamw8)                                                                                                            \
  X(sum_squares)                                                                                                       \
  X(sum_abs)                                                                                                           \
  X(add)                                                                                                               \
  X(transpose)                                                                                                         \
  X(scale)                                                                                                             \
  X(copy)                                                                                                              \
  X(fill)

#define KERNEL_ONE(name) +1
enum { KERNEL_COUNT = 0 KERNELS(KERNEL_ONE) };
#undef KERNEL_ONE

#endif
