/**
 * writeCheckpoint: f32 parameters from wherever become a checkpoint of training, one parameter in memory at a time. Without the optimiser's state: it is
 * where training begins, not where it was interrupted.
 */

import { writeCheckpointInSteps } from '../formats/checkpoint-directory.ts';
import { createSafetensors } from '../formats/safetensors.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import type { ParameterSource } from './parameter-source.ts';
import { describeParameters } from './parameters.ts';

export interface WriteCheckpointOptions {
  /** What state.json says about where the weights came from. */
  state: object;
  /** Looked at between two parameters; its reason is thrown, and nothing stays behind. */
  signal?: AbortSignal;
  /** Weights written so far, of how many. */
  onProgress?: (done: number, total: number) => void;
}

/** Returns the bytes of the weights. Rejects with FormatError where `path` holds anything, or reading or writing fails. */
export async function writeCheckpoint(
  source: ParameterSource,
  path: string,
  { state, signal, onProgress }: WriteCheckpointOptions,
): Promise<number> {
  const { config, tokenizer, tokenizerConfig, step } = source;
  const parameters = describeParameters(config);
  const total = parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const tensors = parameters.map(({ name, shape }) => {
    return { name, dtype: 'F32', shape, bytes: 4 * sizeOf(shape) } as const;
  });
  const writeModel = async (file: string): Promise<void> => {
    const writer = createSafetensors(file, tensors, { format: 'qsparse' });
    try {
      let done = 0;
      for (const parameter of parameters) {
        onProgress?.(done, total);
        // A signal arrives while the event loop turns.
        await turnEventLoop();
        signal?.throwIfAborted();
        const numbers = new Float32Array(sizeOf(parameter.shape));
        source.read(parameter, numbers);
        writer.append(parameter.name, new Uint8Array(numbers.buffer));
        done += numbers.length;
      }
      writer.finish();
    } finally {
      writer.close();
    }
  };
  await writeCheckpointInSteps(path, { config, tokenizer, tokenizerConfig, step, state }, writeModel);
  return 4 * total;
}
