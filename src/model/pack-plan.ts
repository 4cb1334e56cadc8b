/**
 * The plan of a packed model: for every matrix its weight type, where its bytes lie and how wide its rows are, before any memory exists.
 */

import { rowStride, wholeLines } from '../tensor/row-stride.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type WeightMatrix, type WeightType, weightRowBytes } from '../tensor/weight-matrix.ts';
import { UsageError } from '../util/errors.ts';
import { hasGateThresholds, type ModelConfig } from './config.ts';
import { describeMatrices, type FeedForwardLayout, type MatrixRole } from './packed-matrices.ts';

export interface PackOptions {
  /** Of the projections. */
  dtype: WeightType;
  /**
   * Of the embedding table and the output head; where left out f32, bf16 or int8 as `dtype`; beside ternary projections int8, and f32 where the
   * model was trained with them: packing it then loses nothing.
   */
  embeddingDtype?: WeightType | undefined;
  headDtype?: WeightType | undefined;
  /** Input rows of an int8 projection that share the scale of a column; all of them where left out. */
  groupRows?: number | undefined;
  /** Of the feed-forward of every layer, or one for each; `fused` where left out. */
  layout?: FeedForwardLayout | readonly FeedForwardLayout[] | undefined;
}

export interface MatrixPlan extends MatrixRole {
  readonly dtype: WeightType;
  readonly groupRows: number;
  /** Distance of the rows of `tensor`, and where in each this matrix begins. */
  readonly rowBytes: number;
  readonly firstByte: number;
  /** Shape of the scales, which are a tensor of their own, NAME.scale; null for f32 and bf16. */
  readonly scaleShape: readonly number[] | null;
}

/** One run of bytes [rows, rowBytes] and the matrices in it. */
export interface StoredTensor {
  readonly name: string;
  readonly rows: number;
  readonly rowBytes: number;
  readonly matrices: readonly MatrixPlan[];
}

/** Every stored tensor in the order of the forward pass. Throws UsageError for options that do not fit each other or the model. */
export function planPacking(config: ModelConfig, options: PackOptions): StoredTensor[] {
  const { dtype } = options;
  const { embeddingDtype = tableType(config, dtype), headDtype = tableType(config, dtype) } = options;
  checkOptions(config, options);
  const dtypes = { embedding: embeddingDtype, projection: dtype, head: headDtype };
  const ownHead = !config.tiedEmbeddings || headDtype !== embeddingDtype;
  const stored = new Map<string, MatrixRole[]>();
  for (const role of describeMatrices(config, layoutsOf(config, options.layout), ownHead)) {
    stored.set(role.tensor, [...(stored.get(role.tensor) ?? []), role]);
  }
  return [...stored].map(([name, roles]) => storedTensor(name, roles, dtypes[roles[0].part], options.groupRows));
}

/**
 * What a table is stored in beside projections of `dtype`: 2 bits are too few for the words themselves, and beside projections that lose
 * nothing it loses nothing either.
 */
function tableType({ weightFormat }: ModelConfig, dtype: WeightType): WeightType {
  if (dtype !== 'ternary') return dtype;
  return weightFormat === 'ternary' ? 'f32' : 'int8';
}

/** The matrix of a plan over the bytes of its tensor. */
export function matrixOver(plan: MatrixPlan, bytes: Tensor<'u8'>, scale: Tensor<'f32'> | null): WeightMatrix {
  const { dtype, rows, cols, rowBytes, firstByte, scaleAxis, groupRows } = plan;
  const data = bytes.data.subarray(firstByte);
  const address = bytes.address === 0 ? 0 : bytes.address + firstByte;
  const place = { rowBytes, data: { dtype: 'u8', shape: [data.length], data, address } } as const;
  return { dtype, rows, cols, ...place, scale, scaleAxis: scale ? scaleAxis : 'cols', groupRows };
}

function storedTensor(
  name: string,
  roles: readonly MatrixRole[],
  dtype: WeightType,
  groupRows: number | undefined,
): StoredTensor {
  let end = 0;
  const placed = roles.map((role) => {
    const firstByte = end;
    end = wholeLines(firstByte + weightRowBytes(dtype, role.cols));
    return { ...role, firstByte };
  });
  const rowBytes = rowStride(end);
  const matrices = placed.map((role): MatrixPlan => {
    const grouped = dtype === 'int8' && role.part === 'projection' && role.scaleAxis === 'cols';
    const rowsOfGroup = grouped ? Math.min(groupRows ?? role.rows, role.rows) : role.rows;
    return { ...role, dtype, rowBytes, groupRows: rowsOfGroup, scaleShape: scaleShape(role, dtype, rowsOfGroup) };
  });
  return { name, rows: roles[0].rows, rowBytes, matrices };
}

/** [rows], or [groups, cols]; null for weight types without a scale. */
function scaleShape(
  { rows, cols, scaleAxis }: Pick<MatrixRole, 'rows' | 'cols' | 'scaleAxis'>,
  dtype: WeightType,
  groupRows: number,
): number[] | null {
  if (dtype === 'f32' || dtype === 'bf16') return null;
  return scaleAxis === 'rows' ? [rows] : [Math.ceil(rows / groupRows), cols];
}

function layoutsOf(config: ModelConfig, layout: PackOptions['layout'] = 'fused'): readonly FeedForwardLayout[] {
  return typeof layout === 'string' ? Array.from({ length: config.nLayers }, () => layout) : layout;
}

function checkOptions(config: ModelConfig, { dtype, groupRows, layout }: PackOptions): void {
  if (groupRows !== undefined && dtype !== 'int8') {
    throw new UsageError(
      'pack',
      `only int8 projections have groups of rows, got a group of ${groupRows} with ${dtype}. Leave it out.`,
    );
  }
  if (groupRows !== undefined && !(Number.isInteger(groupRows) && groupRows >= 1)) {
    throw new UsageError('pack', `a group must have a whole number of rows, at least 1, got ${groupRows}.`);
  }
  if (config.weightFormat === 'ternary' && dtype === 'bf16') {
    const why = 'bf16 would round the scales of its ternary projections';
    throw new UsageError('pack', `${why}: expected ternary, which loses nothing, f32 or int8. Choose another dtype.`);
  }
  const layouts = layoutsOf(config, layout);
  if (layouts.length !== config.nLayers) {
    throw new UsageError('pack', `expected a layout for each of ${config.nLayers} layers, got ${layouts.length}.`);
  }
  if (hasGateThresholds(config) && layouts.includes('channels')) {
    const why = 'the layout "channels" is read by open ReLU gates, and thresholds.gate closes others';
    throw new UsageError('pack', `${why}: expected "fused" for this model. Leave the layout out.`);
  }
  if (config.activation === 'silu' && layouts.includes('channels')) {
    const why = 'the layout "channels" is read by open gates, and a SiLU gate is never closed';
    throw new UsageError('pack', `${why}: expected "fused" for this model. Leave the layout out.`);
  }
}
