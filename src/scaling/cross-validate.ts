/**
 * crossValidate: how well a law predicts runs that it has not seen, size by size. What a law is for is a size that is not trained yet; a form that
 * only describes the runs at hand shows here.
 */

import { mean } from '../util/mean.ts';
import { canFit, fitLaw, logErrors } from './fit-law.ts';
import type { LawForm, LawPoint } from './law-form.ts';
import type { HuberOptions } from './law-objective.ts';

export interface LeftOut {
  readonly size: number;
  readonly runs: number;
  /** Of log L_predicted - log L_measured over the runs of this size, fitted to those of all others. */
  readonly rmsLogError: number;
  readonly meanLogError: number;
}

export interface CrossValidation {
  readonly leftOut: readonly LeftOut[];
  /** Over all runs, each predicted without its size. */
  readonly rmsLogError: number;
  /** The same for the largest size, the direction in which a law is used. */
  readonly largestRmsLogError: number;
}

/** null where the runs without one of the sizes are too few for the form. */
export function crossValidate(
  form: LawForm,
  points: readonly LawPoint[],
  options: HuberOptions = {},
): CrossValidation | null {
  const sizes = [...new Set(points.map(({ size }) => size))].sort((a, b) => a - b);
  const without = (size: number) => points.filter((point) => point.size !== size);
  if (sizes.length < 3 || !sizes.every((size) => canFit(form, without(size)))) return null;
  const errors = sizes.map((size) => {
    // From the whole grid of starts: near the fit of all runs the size that is left out would have its say.
    const { constants } = fitLaw(form, without(size), options);
    const own = points.filter((point) => point.size === size);
    return logErrors(form, constants, own);
  });
  return {
    leftOut: sizes.map((size, i) => ({
      size,
      runs: errors[i].length,
      rmsLogError: rootMeanSquare(errors[i]),
      meanLogError: mean(errors[i]),
    })),
    rmsLogError: rootMeanSquare(errors.flat()),
    largestRmsLogError: rootMeanSquare(errors.at(-1)!),
  };
}

function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(mean(values.map((value) => value * value)));
}
