/**
 * analyseLaw: everything that one set of runs says about the law, as plain data: the fit with its intervals, the optimum, and the questions
 * that a fit alone does not answer: does B exist, does alpha depend on S, does another form predict better, how large is the noise?
 */

import { type Bootstrap, type BootstrapOptions, bootstrapLaw, type Interval, shareOfB } from './bootstrap-law.ts';
import { type CrossValidation, crossValidate } from './cross-validate.ts';
import { fitLaw, type LawFit } from './fit-law.ts';
import { chiSquaredLimit, LawDeviance } from './law-deviance.ts';
import { type FormName, type LawConstants, type LawPoint, lawForm } from './law-form.ts';
import { HUBER_DELTA } from './law-objective.ts';
import type { LawRun } from './law-runs.ts';
import { lossOverDense, optimalSparsity, parametersSaved } from './optimal-sparsity.ts';
import { type OptimumProfile, profileOptimum } from './profile-optimum.ts';

export interface LawAnalysis {
  readonly form: FormName;
  readonly formula: string;
  readonly runs: number;
  readonly constants: LawConstants;
  readonly objective: number;
  readonly rmsLogError: number;
  readonly bootstrap: Bootstrap;
  readonly optimum: {
    readonly sparsity: number;
    /** Reducible loss at the optimum over that of a dense model with as many activated parameters. */
    readonly lossOverDense: number;
    /** How many times fewer activated parameters than dense for an equal loss. */
    readonly parametersSaved: number;
    readonly profile: OptimumProfile;
  };
  readonly b: {
    readonly shareOfA: number;
    readonly shareOfAInterval: Interval | null;
    /** Of the fit without B, on the scale of chi squared with one degree of freedom. */
    readonly devianceWithout: number;
    /** The runs need a B: the fit without it is refuted. */
    readonly identified: boolean;
    /** The fit without B: what to use where B is not identified. */
    readonly constantsWithout: LawConstants;
    readonly optimumWithout: number;
  };
  /** In 1 / N^(alpha + drift S), without B, N in units of the runs' geometric mean; alpha is constant over S where the interval holds 0. */
  readonly drift: { readonly value: number; readonly interval: Interval };
  readonly forms: readonly FormComparison[];
  /** null where no run was repeated. */
  readonly noise: Noise | null;
}

export interface FormComparison {
  readonly form: FormName;
  readonly formula: string;
  readonly constants: LawConstants;
  readonly rmsLogError: number;
  readonly optimum: number;
  readonly crossValidation: CrossValidation | null;
}

/** Of runs that differ in nothing but their seed. */
export interface Noise {
  /** Deviation of log L, pooled over the repeated points. */
  readonly logDeviation: number;
  readonly points: number;
  readonly runs: number;
}

export interface AnalyseOptions extends BootstrapOptions {
  /** Fit a term F / D^gamma for the training tokens as well. */
  readonly tokens?: boolean | undefined;
}

type AnalysedPoint = LawPoint & Pick<LawRun, 'asked'>;

const COMPARED: readonly FormName[] = ['exponential', 'exponential-without-b', 'power', 'linear'];

/** Runs of one point are known by the share that was asked for, where `points` have one. Throws UsageError where the runs are too few or too much alike, see fitLaw. */
export function analyseLaw(points: readonly AnalysedPoint[], options: AnalyseOptions = {}): LawAnalysis {
  const { tokens = false, delta = HUBER_DELTA, confidence = 0.95 } = options;
  const form = (name: FormName) => lawForm(name, { tokens });
  const fit = fitLaw(form('exponential'), points, { delta });
  const without = fitLaw(form('exponential-without-b'), points, { delta });
  const bootstrap = bootstrapLaw(fit, options);
  const deviance = new LawDeviance(fit, delta).of(without.objective);
  const drifting = fitLaw(form('drifting-alpha'), inMiddleUnits(points), { delta });
  return {
    form: fit.form.name,
    formula: fit.form.formula,
    runs: points.length,
    ...{ constants: fit.constants, objective: fit.objective, rmsLogError: fit.rmsLogError },
    bootstrap,
    optimum: optimumOf(fit, { delta, confidence }),
    b: {
      shareOfA: shareOfB(fit.form, fit.constants),
      shareOfAInterval: bootstrap.shareOfB,
      devianceWithout: deviance,
      identified: deviance > chiSquaredLimit(confidence),
      constantsWithout: without.constants,
      optimumWithout: optimalSparsity(without.form, without.constants),
    },
    drift: { value: drifting.constants.drift, interval: bootstrapLaw(drifting, options).constants.drift },
    forms: COMPARED.map((name) => compare(name, points, { tokens, delta })),
    noise: noiseOf(points),
  };
}

/** N in units of its geometric mean: drift turns the curves of the sparsities about the middle of the runs, whatever unit they come in. */
function inMiddleUnits(points: readonly LawPoint[]): LawPoint[] {
  const middle = Math.exp(points.reduce((sum, { size }) => sum + Math.log(size), 0) / points.length);
  return points.map((point) => ({ ...point, size: point.size / middle }));
}

function optimumOf(fit: LawFit, options: { delta: number; confidence: number }): LawAnalysis['optimum'] {
  const sparsity = optimalSparsity(fit.form, fit.constants);
  return {
    sparsity,
    lossOverDense: lossOverDense(fit.form, fit.constants, sparsity),
    parametersSaved: parametersSaved(fit.form, fit.constants, sparsity),
    profile: profileOptimum(fit, options),
  };
}

function compare(
  name: FormName,
  points: readonly LawPoint[],
  { tokens, delta }: { tokens: boolean; delta: number },
): FormComparison {
  const form = lawForm(name, { tokens });
  const { constants, rmsLogError } = fitLaw(form, points, { delta });
  return {
    ...{ form: name, formula: form.formula, constants, rmsLogError },
    optimum: optimalSparsity(form, constants),
    crossValidation: crossValidate(form, points, { delta }),
  };
}

function noiseOf(points: readonly AnalysedPoint[]): Noise | null {
  const groups = groupBy(points, ({ size, sparsity, asked = sparsity, tokens }) => `${size} ${asked} ${tokens}`);
  const repeated = [...groups.values()].filter((group) => group.length > 1);
  if (repeated.length === 0) return null;
  const logs = repeated.map((group) => group.map(({ loss }) => Math.log(loss)));
  const squares = logs.flatMap((values) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map((value) => (value - mean) ** 2);
  });
  const freedom = squares.length - repeated.length;
  const sum = squares.reduce((total, square) => total + square, 0);
  return { logDeviation: Math.sqrt(sum / freedom), points: repeated.length, runs: squares.length };
}

/** Map.groupBy, which Node has from 21 on. */
function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value]);
  return groups;
}
