/**
 * Where a training step broke: the first tensor, in the order of computation, that holds a value which is not finite.
 *
 * Once one value is NaN, everything behind it is, so the gradients at the end of a step say nothing about the origin. The pass
 * is run once more on kernels that look at every tensor they touched and stop at the first broken one. That is slow
 * and happens once, at the end of a run that failed.
 */

import type { Kernels, MatmulOptions } from '../backend.ts';
import type { TrainedParameter } from '../model/parameters.ts';
import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';

/** Ends the pass that is run again. */
class BrokenKernel extends Error {}

/** A parameter that holds a value which is not finite, or null. */
export function firstBrokenParameter(parameters: readonly TrainedParameter[]): string | null {
  return parameters.find(({ value }) => !tensorFinite(value))?.name ?? null;
}

/** The tensors that an origin can be named after. */
export interface NamedTensors {
  readonly parameters: readonly TrainedParameter[];
  /** `Transformer.multipliedParameters`. */
  readonly multiplied: ReadonlyMap<string, FloatTensor>;
}

/**
 * Runs `pass` on watched kernels and says in words which kernel, at which parameter, first had a value that is not finite;
 * null where all stayed finite. The parameters' gradients are spoiled afterwards.
 */
export function findOrigin(
  kernels: Kernels,
  { parameters, multiplied }: NamedTensors,
  pass: (watched: Kernels) => void,
): string | null {
  try {
    pass(watch(kernels, { parameters, multiplied }));
    return null;
  } catch (error) {
    if (error instanceof BrokenKernel) return error.message;
    throw error;
  }
}

function watch(kernels: Kernels, { parameters, multiplied }: NamedTensors): Kernels {
  const names = new Map([...multiplied].map(([name, tensor]) => [tensor, name]));
  for (const { name, value, gradient } of parameters) names.set(value, name).set(gradient, name);
  let at = 'the beginning';
  let direction = 'forward';
  const watched: Record<string, unknown> = {};
  for (const [kernelName, kernel] of Object.entries(kernels) as [keyof Kernels, (...args: unknown[]) => void][]) {
    watched[kernelName] = (...args: unknown[]) => {
      clearBeside(args);
      kernel.apply(kernels, args);
      const tensors = args.filter(isTensor);
      const own = tensors.map((tensor) => names.get(tensor)).find((name) => name !== undefined);
      at = own ?? at;
      if (!tensors.every(tensorFinite) || !args.filter(isRows).every(rowsFinite)) {
        throw new BrokenKernel(`${kernelName} ${own === undefined ? 'behind' : 'with'} ${at} (${direction} pass)`);
      }
      if (kernelName === 'softmaxCrossEntropy') direction = 'backward';
    };
  }
  return watched as unknown as Kernels;
}

/** A product of the first columns leaves the others of its output undefined: they must not be taken for a result. */
function clearBeside(args: unknown[]): void {
  if (args.length < 4) return;
  const [, , out, options] = args as [unknown, unknown, FloatTensor, MatmulOptions | undefined];
  if (options?.columns?.first === 0 && !options.accumulate) out.data.fill(0);
}

function isTensor(value: unknown): value is FloatTensor {
  return typeof value === 'object' && value !== null && 'dtype' in value && value.dtype !== 'i32';
}

function isRows(value: unknown): value is SparseRows {
  return typeof value === 'object' && value !== null && 'start' in value && 'index' in value;
}

function tensorFinite(tensor: FloatTensor): boolean {
  return allFinite(tensor, tensor.data.length);
}

/** Behind the last non-zero a list is undefined. */
function rowsFinite(rows: SparseRows): boolean {
  return allFinite(rows.value, nonZeros(rows));
}

function allFinite({ data }: FloatTensor, count: number): boolean {
  for (let i = 0; i < count; i++) if (!Number.isFinite(data[i])) return false;
  return true;
}
