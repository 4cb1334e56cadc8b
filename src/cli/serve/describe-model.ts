/** describeModel: what can be said of a model on the disk without reading its weights: configuration, size, how it is stored, the memory that it takes. */

import { findCheckpoint, readCheckpoint } from '../../formats/checkpoint-directory.ts';
import { holdsPackedModel, readPackedDirectory } from '../../formats/packed-directory.ts';
import { isForeign, openForeign } from '../../import/open-model.ts';
import { defaultBatchTokens } from '../../infer/engine.ts';
import { kvPositions } from '../../infer/kv-cache.ts';
import { configOf } from '../../model/checkpoint-parameters.ts';
import type { ModelConfig } from '../../model/config.ts';
import { countParameters } from '../../model/parameters.ts';
import type { ModelDescription } from '../../server/served-model.ts';
import { KV_DTYPES, type KvType, kvShapes } from '../../tensor/kv-slots.ts';
import { BYTES_PER_ELEMENT } from '../../tensor/tensor.ts';

export interface EngineSize {
  /** Most tokens of a sequence; a model's own context may be shorter. */
  readonly contextTokens: number;
  readonly maxSequences: number;
  readonly kvType: KvType;
}

/** `hasTemplate`: the command gives one. Throws FormatError for what is no model. */
export function describeModel(path: string, size: EngineSize, hasTemplate: boolean): ModelDescription {
  const { config, dtype, weightBytes, tokenizerConfig } = readHeader(path);
  const contextTokens = Math.min(size.contextTokens, config.seqLen);
  return {
    config,
    parameters: countParameters(config),
    dtype,
    contextTokens,
    chat: hasTemplate || typeof tokenizerConfig?.chat_template === 'string',
    bytes: (weightBytes ?? 4 * countParameters(config)) + kvBytes(config, { ...size, contextTokens }),
  };
}

interface ModelHeader {
  config: ModelConfig;
  dtype: string;
  /** null: f32 numbers in memory, whatever the file has. */
  weightBytes: number | null;
  tokenizerConfig: { readonly chat_template?: unknown } | null;
}

function readHeader(path: string): ModelHeader {
  if (isForeign(path)) {
    const { config, text, close } = openForeign(path);
    close();
    return { config, dtype: 'f32', weightBytes: null, tokenizerConfig: text.tokenizerConfig };
  }
  const directory = findCheckpoint(path, 'best');
  if (!holdsPackedModel(directory)) {
    const checkpoint = readCheckpoint(directory);
    checkpoint.close();
    const { tokenizerConfig } = checkpoint;
    return { config: configOf(checkpoint), dtype: 'f32', weightBytes: null, tokenizerConfig };
  }
  const packed = readPackedDirectory(directory);
  packed.close();
  const { matrices, tensors } = packed.model;
  const projections = [...matrices].filter(([name]) => !/embed|head/.test(name)).map(([, { dtype }]) => dtype);
  return {
    config: configOf(packed),
    dtype: [...new Set(projections)].join(', '),
    weightBytes: [...tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    tokenizerConfig: packed.tokenizerConfig,
  };
}

function kvBytes(config: ModelConfig, { contextTokens, maxSequences, kvType }: EngineSize): number {
  const { nLayers, nKvHeads, headDim } = config;
  const maxBatchTokens = defaultBatchTokens(contextTokens, maxSequences);
  const positions = kvPositions(config, { maxTokens: contextTokens, maxBatchTokens });
  const { keys, values, scales } = kvShapes({ slots: maxSequences, positions, nKvHeads, headDim });
  const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const perLayer = (count(keys) + count(values)) * BYTES_PER_ELEMENT[KV_DTYPES[kvType]];
  return nLayers * (perLayer + (kvType === 'int8' ? 8 * count(scales) : 0));
}
