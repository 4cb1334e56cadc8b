/** The tensors of a GGUF file that a parameter is made of, by llama.cpp's names, and which columns of it each of them is. */

import type { ParameterInfo, ProjectionName } from '../model/parameters.ts';

export interface GgufPart {
  readonly tensor: string;
  /** Which matrix of a tensor that stacks one for each expert; null for a tensor that is one matrix. */
  readonly expert: number | null;
  /** Columns of the fused matrix or elements of the bias; null for a parameter that is stored as it is. */
  readonly columns: { readonly first: number; readonly count: number } | null;
  /** Of a projection or its bias. */
  readonly projection: ProjectionName | null;
}

const PROJECTIONS: Readonly<Record<ProjectionName, string>> = {
  ...{ q: 'attn_q', k: 'attn_k', v: 'attn_v', o: 'attn_output' },
  ...{ gate: 'ffn_gate', up: 'ffn_up', down: 'ffn_down' },
};

const OTHERS: Readonly<Record<string, string>> = {
  ...{ attentionNorm: 'attn_norm', attentionSubNorm: 'attn_sub_norm', qNorm: 'attn_q_norm', kNorm: 'attn_k_norm' },
  ...{ ffnNorm: 'ffn_norm', ffnSubNorm: 'ffn_sub_norm', router: 'ffn_gate_inp' },
  ...{ embedding: 'token_embd', norm: 'output_norm', head: 'output' },
};

export function ggufParts({ name, projections, biasOf }: ParameterInfo): GgufPart[] {
  const [, layer, expert] = /^layers\.(\d+)\.(?:experts\.(\d+)\.)?/.exec(name) ?? [];
  const prefix = layer === undefined ? '' : `blk.${layer}.`;
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (biasOf !== undefined) {
    return biasOf.map((part) => {
      return { tensor: `${prefix}${PROJECTIONS[part.name]}.bias`, expert: null, columns: part, projection: part.name };
    });
  }
  if (projections.length === 0) {
    return [{ tensor: `${prefix}${OTHERS[last]}.weight`, expert: null, columns: null, projection: null }];
  }
  const stacked = expert === undefined ? '' : '_exps';
  return projections.map((part) => ({
    tensor: `${prefix}${PROJECTIONS[part.name]}${stacked}.weight`,
    expert: expert === undefined ? null : Number(expert),
    columns: part,
    projection: part.name,
  }));
}
