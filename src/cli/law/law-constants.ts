/**
 * The laws that a plan or a page is made of: what `law fit --json` wrote, or the constants that the paper prints.
 *
 * Of a file every number is checked: it may have been edited by hand, and a plan of NaN is no plan.
 */

import { readFileSync } from 'node:fs';
import {
  constantNames,
  FORM_NAMES,
  type FormName,
  type LawConstants,
  type LawForm,
  lawForm,
  PRINTED_CONSTANTS,
  PRINTED_SIZE_UNIT,
} from '../../scaling/law-form.ts';
import { FormatError, messageOf } from '../../util/errors.ts';
import { isObject } from '../../util/is-object.ts';
import { shown } from '../../util/problems.ts';

export const CONSTANTS_VERSION = 1;

export interface KnownLaw {
  readonly format: string;
  readonly form: LawForm;
  readonly constants: LawConstants;
  /** What N is counted in: N / sizeUnit goes into the law. */
  readonly sizeUnit: number;
  /** Sizes, sparsities and tokens of the runs, N and D in units; null for the printed constants. */
  readonly measured: MeasuredRange | null;
  /** Empty where nobody said: tables of runs name no unit. */
  readonly lossUnit: string;
  /** Where the constants come from, in words. */
  readonly source: string;
}

export interface MeasuredRange {
  readonly sizes: readonly [number, number];
  readonly sparsities: readonly [number, number];
  readonly tokens: readonly [number, number] | null;
}

/** The law of the paper, full precision; its constants at 1.58 bit are printed nowhere. */
export function printedLaws(): KnownLaw[] {
  return [
    {
      format: 'float',
      form: lawForm('exponential'),
      constants: PRINTED_CONSTANTS,
      sizeUnit: PRINTED_SIZE_UNIT,
      measured: null,
      lossUnit: 'bits',
      source: 'the constants printed in Q-Sparse (arXiv 2407.10969)',
    },
  ];
}

/** Throws FormatError where the file is not what `law fit --json` writes. */
export function readLaws(path: string): KnownLaw[] {
  const file = parse(path);
  if (file.formatVersion !== CONSTANTS_VERSION || !isObject(file.laws)) {
    const found = `formatVersion ${shown(file.formatVersion)}`;
    throw problem(path, `expected formatVersion ${CONSTANTS_VERSION} and laws, got ${found}. Is it of law fit --json?`);
  }
  const sizeUnit = positive(file.sizeUnit, 'sizeUnit', path);
  const laws = Object.entries(file.laws).map(([format, law]) => knownLaw(format, law, sizeUnit, path));
  if (laws.length === 0) throw problem(path, 'expected at least one law, got none. Fit one to runs.');
  return laws;
}

function knownLaw(format: string, law: unknown, sizeUnit: number, path: string): KnownLaw {
  const where = `laws.${format}`;
  if (!isObject(law)) throw problem(path, `${where}: expected an object, got ${shown(law)}.`);
  if (!FORM_NAMES.includes(law.form as FormName)) {
    throw problem(path, `${where}.form: expected one of ${FORM_NAMES.join(', ')}, got ${shown(law.form)}.`);
  }
  const constants = isObject(law.constants) ? law.constants : {};
  const form = lawForm(law.form as FormName, { tokens: 'F' in constants });
  const { scales, exponents } = constantNames(form);
  const checked = [...scales, ...exponents].map((name) => {
    const value = constants[name];
    const fits = typeof value === 'number' && Number.isFinite(value) && (!scales.includes(name) || value >= 0);
    if (fits) return [name, value] as const;
    const wanted = scales.includes(name) ? 'a number of at least 0' : 'a number';
    throw problem(path, `${where}.constants.${name}: expected ${wanted}, got ${shown(value)}.`);
  });
  return {
    format,
    form,
    constants: Object.fromEntries(checked),
    sizeUnit,
    measured: isObject(law.measured) ? measuredOf(law.measured, `${where}.measured`, path) : null,
    lossUnit: '',
    source: path,
  };
}

function measuredOf(measured: Record<string, unknown>, where: string, path: string): MeasuredRange {
  const range = (field: string): [number, number] => {
    const value = measured[field];
    const isRange = Array.isArray(value) && value.length === 2 && value.every((one) => Number.isFinite(one));
    if (isRange) return value as [number, number];
    throw problem(path, `${where}.${field}: expected two numbers, got ${shown(value)}.`);
  };
  return {
    sizes: range('sizes'),
    sparsities: range('sparsities'),
    tokens: measured.tokens === null ? null : range('tokens'),
  };
}

function parse(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw problem(path, `cannot be read as JSON: ${messageOf(error)}.`);
  }
  if (!isObject(value)) throw problem(path, `expected an object, got ${shown(value)}.`);
  return value;
}

function positive(value: unknown, field: string, path: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw problem(path, `${field}: expected a number above 0, got ${shown(value)}.`);
}

function problem(path: string, message: string): FormatError {
  return new FormatError('law', `${path}: ${message}`, path);
}
