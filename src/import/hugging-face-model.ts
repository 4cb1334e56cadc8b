/**
 * openHuggingFace: a directory as `save_pretrained` writes it and the Hub holds it, opened as a model: config.json, one or several safetensors, a tokenizer.
 *
 * Owns that the directory is complete: every parameter of the configuration there, in its shape, and nothing that the configuration does not
 * know of. Nothing of the weights is read before somebody asks for a parameter. What the configuration means is hf-config.ts, what lies in
 * a tensor hf-tensors.ts.
 */

import { openShardedSafetensors, type PlacedTensor } from '../formats/sharded-safetensors.ts';
import type { ModelConfig } from '../model/config.ts';
import { describeParameters, type ParameterInfo } from '../model/parameters.ts';
import { shapeText } from '../tensor/tensor.ts';
import { FormatError } from '../util/errors.ts';
import type { ForeignModel } from './foreign-model.ts';
import { readHfConfig } from './hf-config.ts';
import { readSources, sourcesOf } from './hf-tensors.ts';
import { readHuggingFaceText, readJson } from './hugging-face-text.ts';

type Tensors = ReadonlyMap<string, PlacedTensor>;

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';
/** Frequencies of RoPE, which old checkpoints held. */
const NEEDLESS = /\.rotary_emb\.inv_freq$/;
/** Read at once where two tensors are compared. */
const COMPARED_BYTES = 2 ** 22;

/** Is it a directory with a config.json in the words of Hugging Face? Throws FormatError where there is a config.json that cannot be read: whose it is nobody knows. */
export function isHuggingFace(path: string): boolean {
  const json = readJson(`${path}/config.json`);
  return json !== null && ('model_type' in json || 'architectures' in json);
}

/** Opens a directory. Close it: its files stay open. Throws FormatError that names file and field or tensor, what was expected and what was found. */
export function openHuggingFace(path: string): ForeignModel {
  const configPath = `${path}/config.json`;
  const json = readJson(configPath);
  if (json === null) throw new FormatError('hugging-face', `${path}: expected config.json, found none.`, path);
  const model = readHfConfig(json, configPath);
  const text = readHuggingFaceText(path, json);
  const { tensors, bytes, close } = openShardedSafetensors(path);
  try {
    checkCounts(model.config, tensors, configPath);
    const config = { ...model.config, tiedEmbeddings: model.config.tiedEmbeddings && !hasOtherHead(tensors) };
    const sources = (parameter: ParameterInfo) => sourcesOf(parameter, model, tensors, path);
    checkComplete(describeParameters(config).flatMap(sources), tensors, path);
    const read = (parameter: ParameterInfo, out: Float32Array) => {
      readSources(sources(parameter), parameter, model, out);
    };
    return { format: 'hugging-face', path, config, text, bytes, read, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Lists of parameters are as long as these numbers say, so they may say no more than there is. */
function checkCounts({ nLayers, nExperts }: ModelConfig, tensors: Tensors, path: string): void {
  const least = nLayers * (6 + 3 * Math.max(1, nExperts));
  if (least <= tensors.size) return;
  const what = `${nLayers} layers${nExperts > 0 ? ` of ${nExperts} experts` : ''}: expected at least ${least} tensors`;
  throw new FormatError('hugging-face', `${path}: ${what}, found ${tensors.size}.`, path);
}

/** All that is there belongs to the model. */
function checkComplete(used: ReturnType<typeof sourcesOf>, tensors: Tensors, path: string): void {
  const known = new Set([HEAD, ...used.flatMap(({ tensor, scale }) => [tensor.name, scale?.name ?? tensor.name])]);
  for (const { name, dtype, shape, file, byteOffset } of tensors.values()) {
    if (known.has(name) || NEEDLESS.test(name)) continue;
    const found = `tensor ${name} ${dtype} ${shapeText(shape)} at byte ${byteOffset}`;
    const what = 'belongs to no part of the model that config.json describes';
    throw new FormatError('hugging-face', `${file.path}: ${found} ${what}. Is it a model of another kind?`, path);
  }
}

/** A head beside a tied table counts where it differs, as in transformers. */
function hasOtherHead(tensors: Tensors): boolean {
  const [table, head] = [tensors.get(EMBEDDING), tensors.get(HEAD)];
  if (table === undefined || head === undefined) return false;
  if (table.dtype !== head.dtype || table.bytes !== head.bytes) return true;
  for (let done = 0; done < table.bytes; done += COMPARED_BYTES) {
    const [a, b] = [table, head].map(({ file, byteOffset, bytes }) => {
      const block = new Uint8Array(Math.min(COMPARED_BYTES, bytes - done));
      file.read(byteOffset + done, block);
      return block;
    });
    if (a.some((byte, i) => byte !== b[i])) return true;
  }
  return false;
}
