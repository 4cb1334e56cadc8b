/** A tiny model as the keys and tensors of a GGUF file: llama's names, seeded weights in f32, a byte-level tokenizer of a few words. */

import { Prng } from '../../src/util/prng.ts';
import { f32Bytes, type GgufKey, type GgufTensorBytes } from './gguf-bytes.ts';

export interface TinyGgufShape {
  architecture: string;
  dim: number;
  hiddenDim: number;
  nLayers: number;
  nHeads: number;
  nKvHeads: number;
  headDim: number;
  subNorms: boolean;
}

export const TINY_LLAMA: TinyGgufShape = {
  ...{ architecture: 'llama', dim: 16, hiddenDim: 24, nLayers: 2, nHeads: 4, nKvHeads: 2, headDim: 4, subNorms: false },
};

/** Bytes as byte-level BPE spells them: those that can be printed are themselves, the others follow from U+0100 on. */
const BYTES = Array.from({ length: 256 }, (_, byte) => byte);
const isPrinted = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
const spelled = BYTES.map((byte) => {
  const unprinted = BYTES.filter((other) => !isPrinted(other)).indexOf(byte);
  return String.fromCodePoint(isPrinted(byte) ? byte : 256 + unprinted);
});

export const TINY_TOKENS = ['<|endoftext|>', ...spelled, 'th', 'the', 'Ġt', 'Ġthe'];
const MERGES = ['t h', 'th e', 'Ġ t', 'Ġ the'];

export function tinyGguf(shape: TinyGgufShape): { keys: GgufKey[]; tensors: GgufTensorBytes[] } {
  return { keys: keysOf(shape), tensors: tensorsOf(shape) };
}

function keysOf({ architecture, dim, hiddenDim, nLayers, nHeads, nKvHeads, headDim }: TinyGgufShape): GgufKey[] {
  const own = (name: string, type: number, value: unknown): GgufKey => [`${architecture}.${name}`, type, value];
  return [
    ['general.architecture', 8, architecture],
    own('context_length', 4, 64),
    own('embedding_length', 4, dim),
    own('feed_forward_length', 4, hiddenDim),
    own('block_count', 4, nLayers),
    own('attention.head_count', 4, nHeads),
    own('attention.head_count_kv', 4, nKvHeads),
    own('attention.layer_norm_rms_epsilon', 6, 1e-5),
    own('rope.dimension_count', 4, headDim),
    ['tokenizer.ggml.model', 8, 'gpt2'],
    ['tokenizer.ggml.pre', 8, 'default'],
    ['tokenizer.ggml.tokens', 9, [8, TINY_TOKENS]],
    ['tokenizer.ggml.token_type', 9, [4, TINY_TOKENS.map((_, id) => (id === 0 ? 3 : 1))]],
    ['tokenizer.ggml.merges', 9, [8, MERGES]],
    ['tokenizer.ggml.eos_token_id', 4, 0],
  ];
}

function tensorsOf(shape: TinyGgufShape): GgufTensorBytes[] {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, headDim, subNorms } = shape;
  const prng = new Prng(5);
  const matrix = (name: string, cols: number, rows: number): GgufTensorBytes => {
    const data = f32Bytes(Float32Array.from({ length: rows * cols }, () => 0.3 * prng.normal()));
    return { name: `${name}.weight`, shape: [cols, rows], data };
  };
  const norm = (name: string, width: number): GgufTensorBytes => {
    const data = f32Bytes(Float32Array.from({ length: width }, () => 1 + 0.1 * prng.normal()));
    return { name: `${name}.weight`, shape: [width], data };
  };
  const heads = nHeads * headDim;
  const layers = Array.from({ length: nLayers }, (_, layer) => {
    const at = `blk.${layer}`;
    return [
      norm(`${at}.attn_norm`, dim),
      matrix(`${at}.attn_q`, dim, heads),
      matrix(`${at}.attn_k`, dim, nKvHeads * headDim),
      matrix(`${at}.attn_v`, dim, nKvHeads * headDim),
      ...(subNorms ? [norm(`${at}.attn_sub_norm`, heads), norm(`${at}.ffn_sub_norm`, hiddenDim)] : []),
      matrix(`${at}.attn_output`, heads, dim),
      norm(`${at}.ffn_norm`, dim),
      matrix(`${at}.ffn_gate`, dim, hiddenDim),
      matrix(`${at}.ffn_up`, dim, hiddenDim),
      matrix(`${at}.ffn_down`, hiddenDim, dim),
    ];
  });
  return [matrix('token_embd', dim, TINY_TOKENS.length), ...layers.flat(), norm('output_norm', dim)];
}
