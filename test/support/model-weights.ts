/**
 * ModelWeights of any type from the f32 parameters of a model: the plainest quantiser that there is, for tests of what reads them.
 *
 * int8: scale = max |w| / 127 of each column, or of each row; ternary: w / mean |w| rounded and clipped to -1, 0, 1 (BitNet b1.58, arXiv
 * 2402.17764 eq. 1 - 3); bf16: rounded. `dequantized` gives the numbers that a matrix stands for, for a model that trains.
 */

import type { Backend } from '../../src/backend.ts';
import { roundToBf16 } from '../../src/backends/reference/round-to-bf16.ts';
import { ffnNames } from '../../src/model/parameters.ts';
import type { Transformer } from '../../src/model/transformer.ts';
import { type FfnWeights, feedForwardOf, ffnsOf, type ModelWeights } from '../../src/model/weights.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import {
  f32Weights,
  storedWeights,
  type WeightMatrix,
  type WeightType,
  weightRowBytes,
  weightScaleAt,
} from '../../src/tensor/weight-matrix.ts';
import { Prng } from '../../src/util/prng.ts';

export interface WeightChoice {
  /** Of the projections. */
  type: WeightType;
  /** Of embedding and head; as the projections where left out. */
  tables?: WeightType;
  layout?: FfnWeights['layout'];
}

/** The parameters of `model`, as they are multiplied, in `backend`'s memory, which is never freed: a test's process ends. */
export function modelWeights(model: Transformer, backend: Backend, choice: WeightChoice): ModelWeights {
  const { config } = model;
  const { type, tables = type, layout = 'fused' } = choice;
  const values = new Map([...model.multipliedParameters()].map(([name, { data }]) => [name, data]));
  const source = (name: string, rows: number, cols: number): Source => ({ data: values.get(name)!, rows, cols });
  const norm = (name: string) => f32Tensor(backend, values.get(name)!);
  const optional = (name: string) => (values.has(name) ? norm(name) : null);
  const byColumn = (name: string, rows: number, cols: number) =>
    stored(backend, source(name, rows, cols), type, 'cols');
  const embedding = stored(backend, source('embedding', config.vocabSize, config.dim), tables, 'rows');
  const head = config.tiedEmbeddings
    ? embedding
    : stored(backend, source('head', config.vocabSize, config.dim), tables, 'rows');
  const { dim, hiddenDim, nHeads, nKvHeads, headDim } = config;
  const ffn = (at: string): FfnWeights => {
    const gateUp = source(`${at}.gateUp`, dim, 2 * hiddenDim);
    const down = byColumn(`${at}.down`, hiddenDim, dim);
    const behind = { subNorm: optional(`${at}.ffnSubNorm`), down };
    if (layout === 'fused') return { layout, gateUp: stored(backend, gateUp, type, 'cols'), ...behind };
    const gate = stored(backend, columns(gateUp, 0, hiddenDim), type, 'cols');
    const up = stored(backend, transposed(columns(gateUp, hiddenDim, hiddenDim)), type, 'rows');
    return { layout, gate, up, ...behind };
  };
  const routerOf = (name: string) => {
    const router = values.get(name);
    return router ? f32Weights({ ...f32Tensor(backend, router), shape: [config.nExperts, dim] }) : null;
  };
  const layers = Array.from({ length: config.nLayers }, (_, layer) => {
    const at = `layers.${layer}`;
    return {
      attentionNorm: norm(`${at}.attentionNorm`),
      attentionSubNorm: optional(`${at}.attentionSubNorm`),
      qkv: byColumn(`${at}.qkv`, dim, (nHeads + 2 * nKvHeads) * headDim),
      qkvBias: optional(`${at}.qkvBias`),
      qNorm: optional(`${at}.qNorm`),
      kNorm: optional(`${at}.kNorm`),
      o: byColumn(`${at}.o`, nHeads * headDim, dim),
      ffnNorm: norm(`${at}.ffnNorm`),
      feedForward: feedForwardOf(routerOf(`${at}.router`), ffnNames(config, layer).map(ffn)),
    };
  });
  return { embedding, layers, norm: norm('norm'), head };
}

/** Sets the parameters of `model` to what fused `weights` stand for. */
export function setDequantized(model: Transformer, weights: ModelWeights): void {
  const set = (name: string, matrix: WeightMatrix) => {
    const parameter = model.parameters.find((candidate) => candidate.name === name);
    parameter?.value.data.set(dequantized(matrix));
  };
  set('embedding', weights.embedding);
  set('head', weights.head);
  for (const [layer, { qkv, o, feedForward }] of weights.layers.entries()) {
    set(`layers.${layer}.qkv`, qkv);
    set(`layers.${layer}.o`, o);
    for (const [i, at] of ffnNames(model.config, layer).entries()) {
      const ffn = ffnsOf(feedForward)[i];
      if (ffn.layout === 'fused') set(`${at}.gateUp`, ffn.gateUp);
      set(`${at}.down`, ffn.down);
    }
  }
}

/** Weights that make every part of a model matter: those of a fresh one leave the blocks almost without influence, and its biases are 0. */
export function strengthen(model: Transformer, factor = 8): Transformer {
  const prng = new Prng(3);
  for (const { value, biasOf } of model.parameters) {
    for (let i = 0; i < value.data.length; i++) value.data[i] = biasOf ? prng.normal() : value.data[i] * factor;
  }
  return model;
}

/** The same by noise: no weight stays 0, norms included. */
export function disturb(model: Transformer): Transformer {
  const prng = new Prng(3);
  for (const { value } of model.stored) {
    for (let i = 0; i < value.data.length; i++) value.data[i] += 0.4 * prng.normal();
  }
  return model;
}

interface Source {
  readonly data: ArrayLike<number>;
  readonly rows: number;
  readonly cols: number;
}

function columns({ data, rows, cols }: Source, first: number, count: number): Source {
  const part = Float64Array.from({ length: rows * count }, (_, i) => {
    return data[Math.floor(i / count) * cols + first + (i % count)];
  });
  return { data: part, rows, cols: count };
}

function transposed({ data, rows, cols }: Source): Source {
  const turned = Float64Array.from({ length: rows * cols }, (_, i) => data[(i % rows) * cols + Math.floor(i / rows)]);
  return { data: turned, rows: cols, cols: rows };
}

function dequantized(w: WeightMatrix): Float64Array {
  const at = storedWeights(w);
  return Float64Array.from({ length: w.rows * w.cols }, (_, i) => {
    const [row, col] = [Math.floor(i / w.cols), i % w.cols];
    return at(row, col) * weightScaleAt(w, row, col);
  });
}

/** Rows lie further apart than they must. */
const SLACK_BYTES = 64;

function stored(
  backend: Backend,
  source: Source,
  dtype: WeightType,
  scaleAxis: WeightMatrix['scaleAxis'],
): WeightMatrix {
  const { data, rows, cols } = source;
  const rowBytes = Math.ceil(weightRowBytes(dtype, cols) / 4) * 4 + SLACK_BYTES;
  const memory = backend.allocate('u8', rows * rowBytes);
  const bytes = new DataView(memory.data.buffer, memory.data.byteOffset, memory.data.byteLength);
  const scale = scalesOf(source, dtype, scaleAxis);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const w = data[row * cols + col] / (scale === null ? 1 : scale[scaleAxis === 'rows' ? row : col]);
      store(bytes, dtype, row * rowBytes, col, w);
    }
  }
  const tensor: Tensor<'u8'> = { dtype: 'u8', shape: [rows * rowBytes], ...memory };
  const scales = scale && f32Tensor(backend, scale);
  return { dtype, rows, cols, rowBytes, data: tensor, scale: scales, scaleAxis, groupRows: rows };
}

function scalesOf(
  { data, rows, cols }: Source,
  dtype: WeightType,
  axis: WeightMatrix['scaleAxis'],
): Float32Array | null {
  if (dtype === 'f32' || dtype === 'bf16') return null;
  const scale = new Float32Array(axis === 'rows' ? rows : cols);
  if (dtype === 'ternary') {
    let sum = 0;
    for (let i = 0; i < rows * cols; i++) sum += Math.abs(data[i]);
    return scale.fill(sum / (rows * cols));
  }
  for (let i = 0; i < rows * cols; i++) {
    const at = axis === 'rows' ? Math.floor(i / cols) : i % cols;
    scale[at] = Math.max(scale[at], Math.abs(data[i]) / 127);
  }
  return scale;
}

function store(bytes: DataView, dtype: WeightType, row: number, col: number, w: number): void {
  if (dtype === 'f32') bytes.setFloat32(row + 4 * col, w, true);
  else if (dtype === 'bf16') bytes.setUint16(row + 2 * col, bf16Bits(w), true);
  else if (dtype === 'int8') bytes.setInt8(row + col, Math.round(w));
  else {
    const at = row + Math.floor(col / 128) * 32 + (col % 32);
    const code = Math.max(-1, Math.min(1, Math.round(w))) + 1;
    bytes.setUint8(at, bytes.getUint8(at) | (code << (2 * Math.floor((col % 128) / 32))));
  }
}

function bf16Bits(x: number): number {
  return new Uint32Array(Float32Array.of(roundToBf16(x)).buffer)[0] >>> 16;
}

function f32Tensor(backend: Backend, values: ArrayLike<number>): Tensor<'f32'> {
  const memory = backend.allocate('f32', values.length);
  memory.data.set(values);
  return { dtype: 'f32', shape: [values.length], ...memory };
}
