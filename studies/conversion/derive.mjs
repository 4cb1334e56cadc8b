/** A checkpoint with the weights of another and another sparsity, untrained: what a conversion begins with. Uses the built package. */

/** Throws what the package throws; nothing is overwritten. */
export async function derive(from, sparsity, out) {
  const { findCheckpoint, readCheckpoint, writeDerivedCheckpoint } = await import(
    '../../dist/formats/checkpoint-directory.js'
  );
  const { configOf } = await import('../../dist/model/checkpoint-parameters.js');
  const { resolveConfig } = await import('../../dist/model/resolve-config.js');
  const checkpoint = readCheckpoint(findCheckpoint(from, 'best'));
  try {
    const config = resolveConfig({ ...configOf(checkpoint), sparsifier: 'topk', sparsity });
    await writeDerivedCheckpoint(out, checkpoint, config);
  } finally {
    checkpoint.close();
  }
}
