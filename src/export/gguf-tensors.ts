/**
 * The tensors of a GGUF file: llama.cpp's names, types and order, and which of our numbers they hold.
 *
 * Matrices have the type that was asked for; norms and routers stay F32, as llama.cpp's own converter leaves them. Where the architecture
 * rotates neighbours, the rows of q and k are put so that feature i of a head and feature i + headDim / 2, our pairs, stand side by side.
 */

import type { ModelConfig } from '../model/config.ts';
import { ffnNames, type ParameterInfo, type ProjectionName } from '../model/parameters.ts';
import type { ExportSource } from './export-source.ts';
import type { GgufArchitecture, GgufExportType } from './gguf-architecture.ts';
import { type OutputPart, type OutputTensor, parametersByName, wholeTensor } from './output-tensors.ts';

/** In the order of the forward pass. */
export function ggufTensors(
  source: Pick<ExportSource, 'config'>,
  architecture: GgufArchitecture,
  type: GgufExportType,
): OutputTensor[] {
  const { config } = source;
  const parameters = parametersByName(source);
  const of = (name: string) => parameters.get(name)!;
  const tensors = [wholeTensor('token_embd.weight', type, of('embedding'))];
  for (let layer = 0; layer < config.nLayers; layer++) {
    tensors.push(...attentionTensors(config, layer, of, architecture, type));
    tensors.push(...feedForwardTensors(config, layer, of, architecture, type));
  }
  tensors.push(wholeTensor('output_norm.weight', 'f32', of('norm')));
  if (!config.tiedEmbeddings) tensors.push(wholeTensor('output.weight', type, of('head')));
  return tensors;
}

type Find = (name: string) => ParameterInfo;

function attentionTensors(
  config: ModelConfig,
  layer: number,
  of: Find,
  architecture: GgufArchitecture,
  type: GgufExportType,
): OutputTensor[] {
  const [at, to] = [`layers.${layer}`, `blk.${layer}`];
  const qkv = of(`${at}.qkv`);
  const order = architecture === 'llama' ? pairsSideBySide(config.headDim) : undefined;
  const subNorm = config.subNorms
    ? [wholeTensor(`${to}.attn_sub_norm.weight`, 'f32', of(`${at}.attentionSubNorm`))]
    : [];
  return [
    wholeTensor(`${to}.attn_norm.weight`, 'f32', of(`${at}.attentionNorm`)),
    projectionTensor(`${to}.attn_q.weight`, type, [qkv], 'q', order),
    projectionTensor(`${to}.attn_k.weight`, type, [qkv], 'k', order),
    projectionTensor(`${to}.attn_v.weight`, type, [qkv], 'v'),
    ...subNorm,
    projectionTensor(`${to}.attn_output.weight`, type, [of(`${at}.o`)], 'o'),
    wholeTensor(`${to}.ffn_norm.weight`, 'f32', of(`${at}.ffnNorm`)),
  ];
}

function feedForwardTensors(
  config: ModelConfig,
  layer: number,
  of: Find,
  architecture: GgufArchitecture,
  type: GgufExportType,
): OutputTensor[] {
  const to = `blk.${layer}`;
  const ffns = ffnNames(config, layer);
  const stacked = architecture === 'smallthinker' || config.nExperts > 0;
  const suffix = stacked ? '_exps.weight' : '.weight';
  const tensorOf = (name: 'gate' | 'up' | 'down', matrix: string) => {
    const tensor = projectionTensor(
      `${to}.ffn_${name}${suffix}`,
      type,
      ffns.map((at) => of(`${at}.${matrix}`)),
      name,
    );
    return stacked ? { ...tensor, shape: [ffns.length, ...tensor.shape] } : tensor;
  };
  const subNorm = config.subNorms
    ? [wholeTensor(`${to}.ffn_sub_norm.weight`, 'f32', of(`layers.${layer}.ffnSubNorm`))]
    : [];
  return [
    ...(stacked ? [routerTensor(config, layer, of)] : []),
    ...[tensorOf('gate', 'gateUp'), tensorOf('up', 'gateUp'), ...subNorm, tensorOf('down', 'down')],
  ];
}

/** Of zeros where there is one expert: whatever it says, all goes there. */
function routerTensor({ nExperts, dim }: ModelConfig, layer: number, of: Find): OutputTensor {
  const name = `blk.${layer}.ffn_gate_inp.weight`;
  if (nExperts > 0) return wholeTensor(name, 'f32', of(`layers.${layer}.router`));
  return { name, type: 'f32', shape: [1, dim], parts: [{ parameter: null, rows: 1, cols: dim }] };
}

/** One projection [out, in], of each of `parameters` in turn; `order` gives for each row of the output the row of the projection. */
function projectionTensor(
  name: string,
  type: GgufExportType,
  parameters: readonly ParameterInfo[],
  projection: ProjectionName,
  order: (row: number) => number = (row) => row,
): OutputTensor {
  const parts = parameters.map((parameter): OutputPart => {
    const { first, count } = parameter.projections.find((columns) => columns.name === projection)!;
    return { parameter, columnOf: (row) => first + order(row), rows: count, cols: parameter.shape[0] };
  });
  return { name, type, shape: [parts[0].rows, parts[0].cols], parts };
}

/** Row 2 i of a head is its feature i, row 2 i + 1 feature i + headDim / 2. */
function pairsSideBySide(headDim: number): (row: number) => number {
  return (row) => {
    const within = row % headDim;
    return row - within + (within % 2) * (headDim / 2) + Math.floor(within / 2);
  };
}
