/** `qsparse law plan`: which size, sparsity and weight format give the lowest loss for a budget of parameters, bytes or milliseconds. */

import type { Command } from 'commander';
import { lawLoss } from '../../scaling/law-form.ts';
import { type Cost, cheapest, LARGEST_SPARSITY, largestSize } from '../../scaling/optimal-sparsity.ts';
import type { WeightType } from '../../tensor/weight-matrix.ts';
import { UsageError } from '../../util/errors.ts';
import { formatBytes, formatCount, formatNumber, formatPercent } from '../../util/format.ts';
import { addJsonOption, parseNumber, parseShare } from '../shared/common-options.ts';
import { Output } from '../shared/output.ts';
import { type KnownLaw, printedLaws, readLaws } from './law-constants.ts';
import { type MeasuredSpeed, readSpeed } from './read-speed.ts';

interface PlanOptions {
  json: boolean;
  activated?: number;
  bytesPerToken?: number;
  msPerToken?: number;
  constants?: string;
  speed?: string;
  maxSparsity?: number;
  tokens?: number;
}

/** What inference stores of a weight; scales and lists come on top and are small. */
const BITS: Readonly<Record<WeightType, number>> = { f32: 32, bf16: 16, int8: 8, ternary: 2 };
/** The format in training whose law holds for each: rounding a trained model to bf16 or int8 is taken as free. */
const LAW_OF: Readonly<Record<WeightType, string>> = { f32: 'float', bf16: 'float', int8: 'float', ternary: 'ternary' };

const HELP = `
N is counted without embedding and head, and so are bytes. Without --constants the plan uses those that the paper prints, which are of full
precision only. --ms-per-token needs times: qsparse bench decode --shape ... --sparsity 0,0.4,0.6 --out speed.json

Examples:
  $ qsparse law plan --activated 1e9
  $ qsparse law plan --bytes-per-token 500e6 --constants constants.json
  $ qsparse law plan --ms-per-token 20 --speed bench/results/inference-speed/decode.json`;

export function registerPlan(law: Command): void {
  const budget = (name: string) => parseNumber(name, { min: 1e-9 });
  const command = law
    .command('plan')
    .description('size, sparsity and weight format of the lowest loss for a budget')
    .option('--activated <n>', 'budget: activated parameters of a token', budget('--activated'))
    .option('--bytes-per-token <n>', 'budget: bytes of weights that a token reads', budget('--bytes-per-token'))
    .option('--ms-per-token <x>', 'budget: milliseconds of a token on a measured machine', budget('--ms-per-token'))
    .option('--constants <file>', 'what law fit --json wrote (default: the printed constants)')
    .option('--speed <file>', 'for --ms-per-token: what bench decode --out wrote')
    .option(
      '--max-sparsity <share>',
      'the largest to choose (default: the largest of the runs)',
      parseShare('--max-sparsity'),
    )
    .option('--tokens <n>', 'training tokens, for laws with a term for them', budget('--tokens'))
    .addHelpText('after', HELP);
  addJsonOption(command).action(plan);
}

/** One way to spend the budget. */
interface Spending {
  readonly weights: string;
  readonly law: KnownLaw;
  /** N in parameters. */
  readonly cost: Cost;
  readonly largestSparsity: number;
}

interface PlanRow extends Record<string, unknown> {
  weights: string;
  parameters: number;
  sparsity: number;
  activated: number;
  loss: number;
  denseParameters: number;
  denseLoss: number;
  /** How far N lies outside of the sizes that the law was fitted to, as a factor; 1 inside; null for printed constants. */
  extrapolation: number | null;
}

function plan(options: PlanOptions): void {
  const output = new Output(options);
  const laws = options.constants === undefined ? printedLaws() : readLaws(options.constants);
  refuseIdleOptions(options, laws);
  const { budget, text, spendings, speed } = spendingsOf(options, laws);
  const rows = spendings
    .map((spending) => rowOf(spending, budget, options))
    .filter((row) => row !== null)
    .sort((a, b) => a.loss - b.loss);
  if (rows.length === 0) throw new UsageError('plan', `${text} pays for no model. Give a larger budget.`);
  output.line(`the lowest loss for ${text}, by ${laws[0].source}${speed ? `; times of ${speed.machine}` : ''}`);
  output.line();
  output.table(rows.map(cellsOf));
  for (const note of notesOf(rows, laws, options, speed)) output.note(note);
  output.json({ budget: text, source: laws[0].source, rows });
}

/** Throws UsageError for options that the budget or the laws do not ask for: what they say would not count. */
export function refuseIdleOptions(
  { speed, msPerToken, tokens }: Pick<PlanOptions, 'speed' | 'msPerToken' | 'tokens'>,
  laws: readonly KnownLaw[],
): void {
  if (speed !== undefined && msPerToken === undefined) {
    throw new UsageError('--speed', 'is for a budget of --ms-per-token, got none. Leave it out, or give that budget.');
  }
  if (tokens !== undefined && !laws.some(hasTokens)) {
    const advice = 'Leave it out, or fit one with law fit --with-tokens';
    throw new UsageError('--tokens', `is for laws with a term for them, ${laws[0].source} has none. ${advice}.`);
  }
}

function hasTokens({ form }: KnownLaw): boolean {
  return form.terms.some(({ scale }) => scale === 'F');
}

function spendingsOf(
  options: PlanOptions,
  laws: readonly KnownLaw[],
): { budget: number; text: string; spendings: Spending[]; speed?: MeasuredSpeed } {
  const { activated, bytesPerToken, msPerToken } = options;
  const given = [activated, bytesPerToken, msPerToken].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw new UsageError(
      'plan',
      `expected one budget of --activated, --bytes-per-token and --ms-per-token, got ${given.length}. Give one.`,
    );
  }
  const [budget] = given;
  const spending = (weights: string, law: KnownLaw, cost: Cost, measured = LARGEST_SPARSITY): Spending => {
    const largest = options.maxSparsity ?? law.measured?.sparsities[1] ?? LARGEST_SPARSITY;
    return { weights, law, cost, largestSparsity: Math.min(largest, measured) };
  };
  if (activated !== undefined) {
    const spendings = laws.map((law) => spending(law.format, law, (size, sparsity) => size * (1 - sparsity)));
    return { budget, text: `${formatCount(budget)} activated parameters`, spendings };
  }
  const ofFormats = (spend: (type: WeightType, law: KnownLaw) => Spending | null) =>
    (Object.keys(BITS) as WeightType[]).flatMap((type) => {
      const law = laws.find(({ format }) => format === LAW_OF[type]);
      return (law && spend(type, law)) ?? [];
    });
  if (bytesPerToken !== undefined) {
    const bytes = (type: WeightType) => (size: number, sparsity: number) => (size * (1 - sparsity) * BITS[type]) / 8;
    const spendings = ofFormats((type, law) => spending(type, law, bytes(type)));
    return { budget, text: `${formatBytes(budget)} of weights a token`, spendings: required(spendings, laws) };
  }
  if (options.speed === undefined) {
    const advice = 'qsparse bench decode --shape q300m --dtype f32,int8 --sparsity 0,0.4,0.6 --out speed.json';
    throw new UsageError('--speed', `--ms-per-token needs measured times. Measure and name the file: ${advice}`);
  }
  const speed = readSpeed(options.speed);
  const spendings = ofFormats((type, law) => {
    const curve = speed.curves.get(type);
    return curve ? spending(type, law, (size, s) => curve.msPerToken(size, s), curve.largestSparsity) : null;
  });
  return { budget, text: `${formatNumber(budget)} ms a token`, spendings: required(spendings, laws), speed };
}

function required(spendings: Spending[], laws: readonly KnownLaw[]): Spending[] {
  if (spendings.length > 0) return spendings;
  const got = laws.map(({ format }) => format).join(', ');
  throw new UsageError('plan', `expected a law of float or ternary weights with times or bytes, got ${got}.`);
}

function rowOf(
  { weights, law, cost, largestSparsity }: Spending,
  budget: number,
  options: PlanOptions,
): PlanRow | null {
  const { form, constants, sizeUnit, measured } = law;
  const tokens = tokensOf(law, options.tokens);
  const inUnits: Cost = (size, sparsity) => cost(size * sizeUnit, sparsity);
  // From one parameter on, in units of the law.
  const choice = cheapest(form, constants, inUnits, budget, { largestSparsity, tokens });
  const dense = largestSize((size) => inUnits(size, 0), budget);
  if (choice === null || dense === null) return null;
  return {
    weights,
    parameters: choice.size * sizeUnit,
    sparsity: choice.sparsity,
    activated: choice.size * sizeUnit * (1 - choice.sparsity),
    loss: choice.loss,
    denseParameters: dense * sizeUnit,
    denseLoss: lawLoss(form, constants, { size: dense, sparsity: 0, tokens }),
    extrapolation: measured && Math.max(1, choice.size / measured.sizes[1], measured.sizes[0] / choice.size),
  };
}

/** Those asked for, in units of the law, else the most that it was fitted to. */
function tokensOf(law: KnownLaw, asked: number | undefined): number | undefined {
  if (!hasTokens(law)) return undefined;
  const { measured, sizeUnit, source } = law;
  const tokens = asked === undefined ? measured?.tokens?.[1] : asked / sizeUnit;
  if (tokens !== undefined) return tokens;
  throw new UsageError('--tokens', `the law of ${source} has a term for training tokens. Say how many.`);
}

function cellsOf(row: PlanRow): Record<string, string> {
  return {
    weights: row.weights,
    N: formatCount(row.parameters),
    S: formatPercent(row.sparsity),
    activated: formatCount(row.activated),
    loss: row.loss.toFixed(4),
    'dense N': formatCount(row.denseParameters),
    'dense loss': row.denseLoss.toFixed(4),
  };
}

function notesOf(
  rows: readonly PlanRow[],
  laws: readonly KnownLaw[],
  { constants }: PlanOptions,
  speed: MeasuredSpeed | undefined,
): string[] {
  const furthest = Math.max(...rows.map(({ extrapolation }) => extrapolation ?? 1));
  const notes = [];
  if (constants === undefined)
    notes.push('printed constants: losses are in bits, of 50 G training tokens; docs/scaling-law.md');
  if (furthest > 1.5) {
    notes.push(`up to ${formatNumber(furthest)} times outside of the sizes that the law was fitted to`);
  }
  if (speed !== undefined) {
    const sizes = [...new Set([...speed.curves.values()].flatMap((curve) => curve.sizes))].map(formatCount);
    notes.push(
      `times were measured at ${sizes.join(' and ')} parameters; at other sizes they are taken to grow with N`,
    );
  }
  if (!laws.some(({ format }) => format === 'ternary')) notes.push('no law of ternary weights: they are left out');
  if (rows.some(({ weights }) => weights === 'bf16' || weights === 'int8')) {
    notes.push('bf16 and int8 are taken to lose nothing against the float weights that they are rounded from');
  }
  return notes;
}
