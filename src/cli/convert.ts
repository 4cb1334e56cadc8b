/**
 * `qsparse convert`: a checkpoint of training becomes a packed model, as inference reads it; `--verify` checks one; `--to` writes a model for other
 * programs. The packing is model/write-packed-model.ts, what other programs read export/, the command's own parts `convert/`.
 */

import type { Command } from 'commander';
import { loadBackend } from '../backends/load-backend.ts';
import { type Checkpoint, findCheckpoint, readCheckpoint } from '../formats/checkpoint-directory.ts';
import { checkPackedTarget, holdsPackedModel } from '../formats/packed-directory.ts';
import { configOf } from '../model/checkpoint-parameters.ts';
import { hasGateThresholds, type ModelConfig } from '../model/config.ts';
import { type PackOptions, planPacking } from '../model/pack-plan.ts';
import { FEED_FORWARD_LAYOUTS, type FeedForwardLayout } from '../model/packed-matrices.ts';
import { type PackReport, writePackedModel } from '../model/write-packed-model.ts';
import { WEIGHT_TYPES, type WeightType } from '../tensor/weight-matrix.ts';
import { UsageError } from '../util/errors.ts';
import { formatBytes, formatDuration, formatInteger, formatPercent } from '../util/format.ts';
import { chooseLayouts, OPEN_PER_KEPT } from './convert/choose-layouts.ts';
import {
  EXPORT_FORMATS,
  EXPORT_TYPES,
  type ExportFormat,
  type ExportRequest,
  exportModel,
} from './convert/export-model.ts';
import { measureOpenGates } from './convert/measure-open-gates.ts';
import { PART_COLUMNS, partRows } from './convert/part-rows.ts';
import { refuseForeign } from './convert/refuse-foreign.ts';
import { verifyPacked } from './convert/verify-packed.ts';
import { addCommonOptions, type CommonOptions, parseChoice, parsePositiveInteger } from './shared/common-options.ts';
import { allOrNothing } from './shared/interrupt.ts';
import { Output } from './shared/output.ts';
import { textOrSample } from './shared/sample-text.ts';

const LAYOUTS = [...FEED_FORWARD_LAYOUTS, 'auto'] as const;

/** Of --dtype: what packed models have, and what goes out with --to. */
const DTYPES: readonly string[] = [...new Set([...WEIGHT_TYPES, ...EXPORT_TYPES.hf, ...EXPORT_TYPES.gguf])];

interface ConvertOptions extends CommonOptions {
  to?: ExportFormat;
  dtype?: string;
  embeddingDtype?: WeightType;
  headDtype?: WeightType;
  group?: number;
  layout: (typeof LAYOUTS)[number];
  text?: string;
  force: boolean;
  verify: boolean;
}

const HELP = `
MODEL is the directory of a run (its best checkpoint is taken) or of one checkpoint. OUT becomes a directory that holds a
model, whole or not at all; what is there already is replaced with --force only, and only if it is a packed model.

  f32, bf16   the numbers, as they are or rounded to 8 significant bits
  int8        8 bits, and a scale for each output; with --group N for each output and N inputs
  ternary     2 bits, and a scale for each projection (BitNet b1.58): for models that were trained with ternary weights

int8 and ternary multiply activations of 8 bits, which is what a model with 8-bit activations was trained on. A model with ternary
weights loses nothing as ternary, f32 or (but for its tables) int8; embedding and head are then f32 beside ternary, unless they are
named.

--layout channels stores up and down by channel, so that a closed ReLU gate spares both. That pays with up to
${OPEN_PER_KEPT.int8} open gates for each input that is kept (${formatPercent(0.4 * OPEN_PER_KEPT.int8, 0)} of the gates at 60 % sparsity), in ternary weights ${OPEN_PER_KEPT.ternary}: auto measures the open gates on --text,
layer by layer, and is fused without it.

--to writes for other programs, in which the model computes its dense function; its sparsity goes along under the key qsparse.

  hf          a directory for transformers, --dtype f32 (default) or bf16
  gguf        a file for llama.cpp, --dtype f32 (default), f16 or q8_0

OUT must not exist then. Other formats (GGUF, Hugging Face) cannot be read yet.

Examples:
  $ qsparse convert runs/book book-int8 --dtype int8
  $ qsparse convert runs/book book-int8 --dtype int8 --group 128 --head-dtype bf16 --force
  $ qsparse convert runs/book book-bf16 --dtype bf16 --text chapter.txt
  $ qsparse convert --verify book-int8
  $ qsparse convert runs/book book-hf --to hf --dtype bf16
  $ qsparse convert runs/book book.gguf --to gguf --dtype q8_0`;

export function register(program: Command): void {
  const parseType = (name: string) => parseChoice(name, WEIGHT_TYPES);
  const command = program
    .command('convert')
    .description('pack a trained model for inference, or write it for other programs')
    .argument('<model>', 'directory of a run or a checkpoint; with --verify a packed model')
    .argument('[out]', 'directory to write, or with --to gguf a file')
    .option('--to <format>', `for another program: ${EXPORT_FORMATS.join(', ')}`, parseChoice('--to', EXPORT_FORMATS))
    .option('--dtype <type>', `of the projections: ${DTYPES.join(', ')}`, parseChoice('--dtype', DTYPES))
    .option(
      '--embedding-dtype <type>',
      'of the embedding table (default: as --dtype, int8 beside ternary)',
      parseType('--embedding-dtype'),
    )
    .option('--head-dtype <type>', 'of the output head (default: likewise)', parseType('--head-dtype'))
    .option('--group <n>', 'int8: inputs that share a scale (default: all)', parsePositiveInteger('--group'))
    .option('--layout <name>', `of the feed-forward: ${LAYOUTS.join(', ')}`, parseChoice('--layout', LAYOUTS), 'auto')
    .option('--text <file>', 'text on which --layout auto measures the open gates')
    .option('--force', 'replace the packed model that is there', false)
    .option('--verify', 'compare the hashes of a packed MODEL; writes nothing', false)
    .addHelpText('after', HELP);
  addCommonOptions(command).action(convert);
}

async function convert(path: string, out: string | undefined, options: ConvertOptions): Promise<void> {
  const output = new Output(options);
  await allOrNothing(output, async (signal) => {
    if (options.verify) await verify(path, out, output, signal);
    else if (options.to !== undefined) await exportModel(exportRequest(path, out, options), output, signal);
    else await pack(path, out, options, output, signal);
  });
}

function exportRequest(model: string, out: string | undefined, options: ConvertOptions): ExportRequest {
  const { dtype, embeddingDtype, headDtype, group, layout, text, force } = options;
  const packing = { '--embedding-dtype': embeddingDtype, '--head-dtype': headDtype, '--group': group, '--text': text };
  const given = Object.entries(packing).filter(([, value]) => value !== undefined);
  const unused = given.map(([name]) => name);
  if (layout !== 'auto') unused.push('--layout');
  if (force) unused.push('--force');
  return { model, out, format: options.to!, dtype, unused };
}

async function verify(path: string, out: string | undefined, output: Output, signal: AbortSignal): Promise<void> {
  if (out !== undefined) {
    throw new UsageError(
      '--verify',
      `it writes nothing: expected a packed model alone, got ${out} too. Leave one out.`,
    );
  }
  const verified = await verifyPacked(findCheckpoint(path, 'best'), output.progress(), signal);
  output.line(`${verified.model}: ${verified.tensors} tensors, ${formatBytes(verified.bytes)}, every hash is right`);
  output.json(verified);
}

async function pack(
  path: string,
  out: string | undefined,
  options: ConvertOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const { sizes, target } = checkOptions(out, options);
  checkPackedTarget(target, options.force);
  refuseForeign(path);
  const checkpoint = openTrained(path);
  const begin = performance.now();
  try {
    const config = configOf(checkpoint);
    // Refuses what does not fit before anything takes its time.
    planPacking(config, { ...sizes, layout: options.layout === 'auto' ? 'fused' : options.layout });
    const openGates = await gatesOf(checkpoint, config, options, output, signal);
    const layouts = layoutsFor(config, sizes.dtype, options.layout, openGates);
    const progress = output.progress();
    const report = await writePackedModel(checkpoint, target, {
      ...sizes,
      ...{ layout: layouts, replace: options.force, signal },
      onProgress: (done, total) => progress.update({ label: 'packing', done, total, unit: 'weights' }),
    });
    progress.done();
    const seconds = (performance.now() - begin) / 1000;
    reportTo(
      output,
      { model: checkpoint.path, out: target, step: checkpoint.step, layouts, openGates, seconds },
      report,
    );
  } finally {
    checkpoint.close();
  }
}

function checkOptions(out: string | undefined, options: ConvertOptions): { sizes: PackOptions; target: string } {
  const { dtype, embeddingDtype, headDtype, group, layout, text } = options;
  if (out === undefined)
    throw new UsageError('convert', 'expected a directory to write, got none. Name it behind MODEL.');
  if (!isWeightType(dtype)) {
    const got = dtype === undefined ? 'none' : `"${dtype}", which goes with --to gguf`;
    throw new UsageError(
      '--dtype',
      `expected one of ${WEIGHT_TYPES.join(', ')}, got ${got}. Add --dtype int8, for example.`,
    );
  }
  if (text !== undefined && layout !== 'auto') {
    throw new UsageError('--text', `--layout ${layout} needs no text: expected --layout auto. Leave one of them out.`);
  }
  return { sizes: { dtype, embeddingDtype, headDtype, groupRows: group }, target: out };
}

function isWeightType(dtype: string | undefined): dtype is WeightType {
  return (WEIGHT_TYPES as readonly (string | undefined)[]).includes(dtype);
}

function openTrained(path: string): Checkpoint {
  const directory = findCheckpoint(path, 'best');
  if (!holdsPackedModel(directory)) return readCheckpoint(directory);
  const again = 'Convert the run or checkpoint that it was made of';
  throw new UsageError('convert', `${directory} is packed already: expected a checkpoint of training. ${again}.`);
}

/** The share of open gates by layer, where they are asked for and can be closed. */
async function gatesOf(
  checkpoint: Checkpoint,
  config: ModelConfig,
  options: ConvertOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number[] | null> {
  if (options.text === undefined) return null;
  if (config.activation === 'silu' || hasGateThresholds(config)) {
    const why = hasGateThresholds(config) ? 'gates are closed by thresholds' : 'SiLU gates are never closed';
    output.note(`${why}: nothing to measure, the layout is fused`);
    return null;
  }
  const text = textOrSample(options.text);
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  try {
    return await measureOpenGates(checkpoint.path, backend, text, { progress: output.progress(), signal });
  } finally {
    backend.dispose();
  }
}

function layoutsFor(
  config: ModelConfig,
  dtype: WeightType,
  layout: ConvertOptions['layout'],
  openGates: number[] | null,
): FeedForwardLayout[] {
  if (openGates !== null) return chooseLayouts(openGates, config, dtype);
  return Array.from({ length: config.nLayers }, () => (layout === 'auto' ? 'fused' : layout));
}

interface Conversion {
  model: string;
  out: string;
  step: number;
  layouts: FeedForwardLayout[];
  openGates: number[] | null;
  seconds: number;
}

function reportTo(output: Output, conversion: Conversion, report: PackReport): void {
  const { model, out, step, layouts, openGates, seconds } = conversion;
  const parts = partRows(report);
  const { bitsPerWeight } = parts[parts.length - 1];
  output.line(`${model}, step ${formatInteger(step)}, packed in ${formatDuration(seconds)}`);
  output.line(`feed-forward: ${layoutText(layouts, openGates)}\n`);
  output.table(parts, { columns: PART_COLUMNS });
  output.line(`\n${out}: ${formatBytes(report.fileBytes)}, ${bitsPerWeight.toFixed(2)} bits a weight`);
  output.json({ ...conversion, fileBytes: report.fileBytes, bitsPerWeight, parts, matrices: report.matrices });
}

function layoutText(layouts: readonly FeedForwardLayout[], openGates: readonly number[] | null): string {
  const channels = layouts.filter((layout) => layout === 'channels').length;
  const mixed = `channels in ${channels} of ${layouts.length} layers, fused in the others`;
  const text = channels === layouts.length ? 'channels' : channels === 0 ? 'fused' : mixed;
  if (openGates === null) return text;
  const [least, most] = [Math.min(...openGates), Math.max(...openGates)].map((share) => formatPercent(share));
  return `${text}; ${least} to ${most} of the gates are open`;
}
