/**
 * LawForm: a scaling law as data, a sum of terms that are each a product of powers and exponentials.
 *
 *     L(N, S) = E + (B + C exp(beta / (1 - S))) / N^alpha            Q-Sparse (arXiv 2407.10969), eq. 15 and 16
 *
 * Each term is scale * amount(run) * exp(sum of exponent * feature(run)): 1 / N^alpha is exp(alpha * -log N). So the logarithm of a term is
 * linear in its exponents and in the logarithm of its scale, and the logarithm of the loss is the log-sum-exp of such terms. One fit, with
 * analytic gradients, therefore serves the paper's law, its alternatives, and a further term for training tokens D.
 */

/** What a law is asked for. */
export interface LawInput {
  /** N: parameters of the blocks, in any unit. */
  readonly size: number;
  /** S: share of zeros among the inputs of the projections, in [0, 1). */
  readonly sparsity: number;
  /** D: training tokens; read by forms with a term for them alone. */
  readonly tokens?: number | undefined;
}

/** A finished run: what it was and the loss that it reached, in any unit (nats, bits), above 0. */
export interface LawPoint extends LawInput {
  readonly loss: number;
}

interface Factor {
  readonly exponent: string;
  readonly feature: (input: LawInput) => number;
}

export interface LawTerm {
  /** The name of its constant, which is positive. */
  readonly scale: string;
  readonly factors: readonly Factor[];
  /** What the constant is multiplied by, at least 0; 1 where left out. */
  readonly amount?: (input: LawInput) => number;
}

export interface LawForm {
  readonly name: FormName;
  readonly formula: string;
  readonly terms: readonly LawTerm[];
}

export type FormName = keyof typeof SHAPES;

/** The constants of a law by their names: E, B, C, alpha, beta and so on. */
export type LawConstants = Readonly<Record<string, number>>;

const bySize: Factor = { exponent: 'alpha', feature: ({ size }) => -Math.log(size) };
const byTokens: Factor = { exponent: 'gamma', feature: ({ tokens }) => -Math.log(tokens ?? Number.NaN) };
const byExponential: Factor = { exponent: 'beta', feature: ({ sparsity }) => 1 / (1 - sparsity) };
const byPower: Factor = { exponent: 'beta', feature: ({ sparsity }) => -Math.log1p(-sparsity) };
/** The exponent of N is alpha + drift * S: drift changes nothing where N is 1, so that this form depends on the unit of N. */
const byDrift: Factor = { exponent: 'drift', feature: ({ sparsity, size }) => -sparsity * Math.log(size) };

const floor: LawTerm = { scale: 'E', factors: [] };
const term = (scale: string, ...factors: Factor[]): LawTerm => ({ scale, factors });

const SHAPES = {
  exponential: {
    formula: 'E + (B + C exp(beta / (1 - S))) / N^alpha',
    terms: [floor, term('B', bySize), term('C', bySize, byExponential)],
  },
  'exponential-without-b': {
    formula: 'E + C exp(beta / (1 - S)) / N^alpha',
    terms: [floor, term('C', bySize, byExponential)],
  },
  linear: {
    formula: 'E + (B + C S) / N^alpha',
    terms: [floor, term('B', bySize), { scale: 'C', factors: [bySize], amount: ({ sparsity }: LawInput) => sparsity }],
  },
  power: {
    formula: 'E + (B + C / (1 - S)^beta) / N^alpha',
    terms: [floor, term('B', bySize), term('C', bySize, byPower)],
  },
  'drifting-alpha': {
    formula: 'E + C exp(beta / (1 - S)) / N^(alpha + drift S)',
    terms: [floor, term('C', bySize, byExponential, byDrift)],
  },
  dense: { formula: 'E + A / N^alpha', terms: [floor, term('A', bySize)] },
} as const satisfies Record<string, { formula: string; terms: readonly LawTerm[] }>;

export const FORM_NAMES = Object.keys(SHAPES) as FormName[];

/** The form of that name; with `tokens` it has the term F / D^gamma as well. */
export function lawForm(name: FormName, { tokens = false } = {}): LawForm {
  const { formula, terms } = SHAPES[name];
  if (!tokens) return { name, formula, terms };
  return { name, formula: `${formula} + F / D^gamma`, terms: [...terms, term('F', byTokens)] };
}

/** The names of a form's constants: scales in the order of the terms, then exponents in the order of their first use. */
export function constantNames({ terms }: LawForm): { scales: string[]; exponents: string[] } {
  const exponents = new Set(terms.flatMap(({ factors }) => factors.map(({ exponent }) => exponent)));
  return { scales: terms.map(({ scale }) => scale), exponents: [...exponents] };
}

/** The loss that a law predicts. The units of N and D are those of the constants. */
export function lawLoss({ terms }: LawForm, constants: LawConstants, input: LawInput): number {
  return terms.reduce((sum, { scale, factors, amount }) => {
    const exponent = factors.reduce((total, factor) => total + constants[factor.exponent] * factor.feature(input), 0);
    return sum + constants[scale] * (amount?.(input) ?? 1) * Math.exp(exponent);
  }, 0);
}

/** What Q-Sparse prints for full precision: N in units of 1e8, loss in bits (neither is stated; they alone fit its figures). None for 1.58 bit. */
export const PRINTED_CONSTANTS: LawConstants = { E: 1.86, B: 0.01, C: 1.89, alpha: 0.1, beta: 0.05 };
export const PRINTED_SIZE_UNIT = 1e8;
