/**
 * Weights under their Hugging Face Llama names, and back: `model.layers.0.self_attn.q_proj.weight` [out, in] instead of
 * columns of `layers.0.qkv` [in, out]; experts as in Mixtral, `model.layers.0.mlp.experts.2.gate_proj.weight` (their sub-norms beside,
 * `mlp.experts.2.ffn_sub_norm`), and their router `mlp.gate`. Biases and norms of heads as in Qwen2 and Qwen3: `self_attn.q_proj.bias`, `self_attn.q_norm`.
 *
 * Hugging Face's RoPE convention (feature i with i + headDim / 2) is ours, so heads need no permutation.
 */

import type { FloatTensor } from '../tensor/tensor.ts';
import { shapeText } from '../tensor/tensor.ts';
import { FormatError } from '../util/errors.ts';
import type { Parameter, ParameterInfo, ProjectionName } from './parameters.ts';

export interface NamedArray {
  name: string;
  shape: readonly number[];
  data: Float32Array | Float64Array;
}

const HF_PROJECTIONS: Readonly<Record<ProjectionName, string>> = {
  q: 'self_attn.q_proj',
  k: 'self_attn.k_proj',
  v: 'self_attn.v_proj',
  o: 'self_attn.o_proj',
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
};

/** The norms of a block; the sub-norms as in BitNet's checkpoints. */
const HF_NORMS: Readonly<Record<string, string>> = {
  attentionNorm: 'input_layernorm',
  qNorm: 'self_attn.q_norm',
  kNorm: 'self_attn.k_norm',
  attentionSubNorm: 'self_attn.attn_sub_norm',
  ffnNorm: 'post_attention_layernorm',
  ffnSubNorm: 'mlp.ffn_sub_norm',
};

/** Every weight (or, with `pick`, gradient or optimiser state) of a model by Hugging Face name, copied. */
export function* toHfWeights(
  parameters: readonly Parameter[],
  pick: (parameter: Parameter) => FloatTensor = ({ value }) => value,
): Generator<NamedArray> {
  for (const parameter of parameters) {
    const { data, shape } = pick(parameter);
    for (const part of hfParts(parameter)) {
      if (part.columns === null) {
        yield { name: part.name, shape, data: data.slice() };
      } else {
        const { first, count } = part.columns;
        const [rows, cols] = matrixOf(shape);
        const out = data instanceof Float32Array ? new Float32Array(count * rows) : new Float64Array(count * rows);
        for (let row = 0; row < rows; row++) {
          for (let col = 0; col < count; col++) out[col * rows + row] = data[row * cols + first + col];
        }
        yield { name: part.name, shape: shapeOfPart(part, shape), data: out };
      }
    }
  }
}

/**
 * Fills the values of a model from `read`, which finds an array by Hugging Face name.
 * Throws FormatError where an array is missing or has another shape.
 */
export function fromHfWeights(
  parameters: readonly Parameter[],
  read: (name: string) => Omit<NamedArray, 'name'> | undefined,
): void {
  for (const parameter of parameters) {
    const { data, shape } = parameter.value;
    const [rows, cols] = matrixOf(shape);
    for (const part of hfParts(parameter)) {
      const { name, columns } = part;
      const source = read(name);
      const expected = shapeOfPart(part, shape);
      if (source === undefined || shapeText(source.shape) !== shapeText(expected)) {
        const got = source ? shapeText(source.shape) : 'nothing';
        throw new FormatError('hf-weights', `${name} does not fit: expected ${shapeText(expected)}, got ${got}.`);
      }
      if (columns === null) {
        data.set(source.data);
      } else {
        for (let row = 0; row < rows; row++) {
          for (let col = 0; col < columns.count; col++) {
            data[row * cols + columns.first + col] = source.data[col * rows + row];
          }
        }
      }
    }
  }
}

export interface HfPart {
  name: string;
  /** Columns of the fused matrix, or null for a tensor that is stored as it is. */
  columns: { first: number; count: number } | null;
}

/** A vector is a matrix of one row. */
function matrixOf(shape: readonly number[]): [rows: number, cols: number] {
  return shape.length === 1 ? [1, shape[0]] : [shape[0], shape[1]];
}

/** The shape of a part of a parameter as Hugging Face has it. */
export function shapeOfPart({ columns }: HfPart, shape: readonly number[]): readonly number[] {
  if (columns === null) return shape;
  return shape.length === 1 ? [columns.count] : [columns.count, shape[0]];
}

/** The tensors of Hugging Face that one parameter holds, in the order of its columns. */
export function hfParts({ name, projections, biasOf }: ParameterInfo): HfPart[] {
  const [, layer, expert = ''] = /^(layers\.\d+)\.(experts\.\d+\.)?/.exec(name) ?? [];
  const prefix = `model.${layer}`;
  if (projections.length > 0) {
    return projections.map((part) => {
      const [block, projection] = HF_PROJECTIONS[part.name].split('.');
      return { name: `${prefix}.${block}.${expert}${projection}.weight`, columns: part };
    });
  }
  if (biasOf) return biasOf.map((part) => ({ name: `${prefix}.${HF_PROJECTIONS[part.name]}.bias`, columns: part }));
  if (name === 'embedding') return [{ name: 'model.embed_tokens.weight', columns: null }];
  if (name === 'norm') return [{ name: 'model.norm.weight', columns: null }];
  if (name === 'head') return [{ name: 'lm_head.weight', columns: null }];
  if (name.endsWith('.router')) return [{ name: `${prefix}.mlp.gate.weight`, columns: null }];
  const norm = HF_NORMS[name.slice(name.lastIndexOf('.') + 1)].replace('mlp.', `mlp.${expert}`);
  return [{ name: `${prefix}.${norm}.weight`, columns: null }];
}
