/**
 * The tensors of a GGUF file: llama.cpp's names, types and order, and which of our numbers they hold.
 *
 * Matrices have the type that was asked for; norms, biases and routers stay F32, as llama.cpp's own converter leaves them. Where the architecture
 * rotates neighbours, the rows of q and k (and their biases) are put so that feature i of a head and feature i + headDim / 2, our pairs, stand side
 * by side.
 */

import type { ModelConfig } from '../model/config.ts';
import { ffnNames, type ParameterInfo, type ProjectionName } from '../model/parameters.ts';
import { scaledFrequency } from '../model/rope-tables.ts';
import type { ExportSource } from './export-source.ts';
import type { GgufArchitecture, GgufExportType } from './gguf-architecture.ts';
import {
  columnsPart,
  columnsTensor,
  constantTensor,
  type OutputTensor,
  parametersByName,
  wholeTensor,
} from './output-tensors.ts';

/** In the order of the forward pass. */
export function ggufTensors(
  source: Pick<ExportSource, 'config'>,
  architecture: GgufArchitecture,
  type: GgufExportType,
): OutputTensor[] {
  const { config } = source;
  const parameters = parametersByName(source);
  const of = (name: string) => parameters.get(name)!;
  const tensors = [...ropeTensors(config), wholeTensor('token_embd.weight', type, of('embedding'))];
  for (let layer = 0; layer < config.nLayers; layer++) {
    tensors.push(...attentionTensors(config, layer, of, architecture, type));
    tensors.push(...feedForwardTensors(config, layer, of, architecture, type));
  }
  tensors.push(wholeTensor('output_norm.weight', 'f32', of('norm')));
  if (!config.tiedEmbeddings) tensors.push(wholeTensor('output.weight', type, of('head')));
  return tensors;
}

/** By what llama3's scaling divides the frequency of each pair; one tensor for all layers. */
function ropeTensors({ ropeScaling, ropeTheta, headDim }: ModelConfig): OutputTensor[] {
  if (ropeScaling?.type !== 'llama3') return [];
  const divisors = Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = ropeTheta ** ((-2 * i) / headDim);
    return frequency / scaledFrequency(frequency, ropeScaling);
  });
  return [constantTensor('rope_freqs.weight', [headDim / 2], divisors)];
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
  const [qkv, o] = [of(`${at}.qkv`), of(`${at}.o`)];
  const order = architecture === 'llama' ? pairsSideBySide(config.headDim) : undefined;
  const subNorm = config.subNorms
    ? [wholeTensor(`${to}.attn_sub_norm.weight`, 'f32', of(`${at}.attentionSubNorm`))]
    : [];
  const biases = config.qkvBias ? biasTensors(of(`${at}.qkvBias`), to, order) : [];
  const headNorms = config.qkNorm
    ? [
        wholeTensor(`${to}.attn_q_norm.weight`, 'f32', of(`${at}.qNorm`)),
        wholeTensor(`${to}.attn_k_norm.weight`, 'f32', of(`${at}.kNorm`)),
      ]
    : [];
  return [
    wholeTensor(`${to}.attn_norm.weight`, 'f32', of(`${at}.attentionNorm`)),
    columnsTensor(`${to}.attn_q.weight`, type, qkv, columnsOf(qkv, 'q'), order),
    columnsTensor(`${to}.attn_k.weight`, type, qkv, columnsOf(qkv, 'k'), order),
    columnsTensor(`${to}.attn_v.weight`, type, qkv, columnsOf(qkv, 'v')),
    ...biases,
    ...headNorms,
    ...subNorm,
    columnsTensor(`${to}.attn_output.weight`, type, o, columnsOf(o, 'o')),
    wholeTensor(`${to}.ffn_norm.weight`, 'f32', of(`${at}.ffnNorm`)),
  ];
}

function biasTensors(bias: ParameterInfo, to: string, order?: (row: number) => number): OutputTensor[] {
  return bias.biasOf!.map((columns) => {
    const { name } = columns;
    return columnsTensor(`${to}.attn_${name}.bias`, 'f32', bias, columns, name === 'v' ? undefined : order);
  });
}

function columnsOf({ projections }: ParameterInfo, name: ProjectionName) {
  return projections.find((columns) => columns.name === name)!;
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
  const tensorOf = (name: 'gate' | 'up' | 'down', matrix: string): OutputTensor => {
    const parts = ffns.map((at) => {
      const parameter = of(`${at}.${matrix}`);
      return columnsPart(parameter, columnsOf(parameter, name));
    });
    const [{ rows, cols }] = parts;
    const shape = stacked ? [parts.length, rows, cols] : [rows, cols];
    return { name: `${to}.ffn_${name}${suffix}`, type, shape, parts };
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
  return constantTensor(name, [1, dim], new Float32Array(dim));
}

/** Row 2 i of a head is its feature i, row 2 i + 1 feature i + headDim / 2. */
function pairsSideBySide(headDim: number): (row: number) => number {
  return (row) => {
    const within = row % headDim;
    return row - within + (within % 2) * (headDim / 2) + Math.floor(within / 2);
  };
}
