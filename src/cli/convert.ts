/**
 * `qsparse convert`: a checkpoint of training or a model of another program becomes a packed model, as inference reads it; `--to checkpoint` makes a
 * checkpoint of the latter, `--to hf|gguf` writes a model for other programs; `--verify` checks a packed model. The packing is
 * model/write-packed-model.ts, what other programs read export/, the command's own parts `convert/`.
 */

import type { Command } from 'commander';
import { loadBackend } from '../backends/load-backend.ts';
import { findCheckpoint } from '../formats/checkpoint-directory.ts';
import { checkPackedTarget } from '../formats/packed-directory.ts';
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
import { makeCheckpoint } from './convert/make-checkpoint.ts';
import { measureOpenGates } from './convert/measure-open-gates.ts';
import { PART_COLUMNS, partRows } from './convert/part-rows.ts';
import { verifyPacked } from './convert/verify-packed.ts';
import { addCommonOptions, type CommonOptions, parseChoice, parsePositiveInteger } from './shared/common-options.ts';
import { allOrNothing } from './shared/interrupt.ts';
import { modelPath } from './shared/model-argument.ts';
import { type OpenedSource, openSource } from './shared/open-source.ts';
import { Output } from './shared/output.ts';
import { addTextFileOptions, givenTexts, type TextFileOptions } from './shared/text-files.ts';

const LAYOUTS = [...FEED_FORWARD_LAYOUTS, 'auto'] as const;

/** Of --dtype: what packed models have, and what goes out with --to. */
const DTYPES: readonly string[] = [...new Set([...WEIGHT_TYPES, ...EXPORT_TYPES.hf, ...EXPORT_TYPES.gguf])];

/** What OUT becomes, if not a packed model. */
const TARGETS = ['checkpoint', ...EXPORT_FORMATS] as const;

interface ConvertOptions extends CommonOptions, TextFileOptions {
  to?: (typeof TARGETS)[number];
  dtype?: string;
  embeddingDtype?: WeightType;
  headDtype?: WeightType;
  group?: number;
  layout: (typeof LAYOUTS)[number];
  wina: boolean;
  force: boolean;
  verify: boolean;
}

const HELP = `
MODEL is the directory of a run (its best checkpoint is taken) or of one checkpoint, or a model of another program: a Hugging Face directory, a GGUF file, a
checkpoint of llama2.c with its tokenizer.bin beside it; or OWNER/NAME of a model on the Hub. --to hf and gguf also take a packed model in f32 or bf16. OUT becomes a directory that holds a model, whole or not at all; what is there already is replaced with --force only, and only if it is a
packed model.

  f32, bf16   the numbers, as they are or rounded to 8 significant bits
  int8        8 bits, and a scale for each output; with --group N for each output and N inputs
  ternary     2 bits, and a scale for each projection (BitNet b1.58): for models that were trained with ternary weights

int8 and ternary multiply activations of 8 bits, which is what a model with 8-bit activations was trained on. A model with ternary
weights loses nothing as ternary, f32 or (but for its tables) int8; embedding and head are then f32 beside ternary, unless they are
named.

--layout channels stores up and down by channel, so that a closed ReLU gate spares both. That pays with up to
${OPEN_PER_KEPT} open gates for each input that is kept (${formatPercent(0.4 * OPEN_PER_KEPT, 0)} of the gates at 60 % sparsity): auto measures the
open gates on --text, layer by layer, and is fused without it.

--to checkpoint makes a checkpoint (f32) of a model of another program, from which training begins, or of a run of adapters, merged. With --wina it is the same dense function in other
numbers, in which the largest inputs are those that matter most to the product (WINA); of a checkpoint of qsparse too. --to hf and gguf write for other programs, in which the
model computes its dense function; its sparsity goes along under the key qsparse. OUT must not exist then.

  hf          a directory for transformers, --dtype f32 (default) or bf16
  gguf        a file for llama.cpp, --dtype f32 (default), f16 or q8_0

Examples:
  $ qsparse convert runs/book book-int8 --dtype int8
  $ qsparse convert runs/book book-int8 --dtype int8 --group 128 --head-dtype bf16 --force
  $ qsparse convert runs/book book-bf16 --dtype bf16 --text chapter.txt
  $ qsparse convert SmolLM2-135M-Instruct-Q4_1.gguf smollm2 --dtype int8
  $ qsparse convert SmolLM2-135M-Instruct-Q4_1.gguf smollm2-f32 --to checkpoint
  $ qsparse convert --verify book-int8
  $ qsparse convert runs/book book-hf --to hf --dtype bf16
  $ qsparse convert runs/silu silu.gguf --to gguf --dtype q8_0     # trained with --activation silu or relu`;

export function register(program: Command): void {
  const parseType = (name: string) => parseChoice(name, WEIGHT_TYPES);
  const command = program
    .command('convert')
    .description('pack a model for inference, or write it for other programs')
    .argument(
      '<model>',
      'directory of a run or a checkpoint, a GGUF or llama2.c file, a directory of Hugging Face; with --verify a packed model',
    )
    .argument('[out]', 'directory to write, or with --to gguf a file')
    .option('--to <what>', `instead of a packed model: ${TARGETS.join(', ')}`, parseChoice('--to', TARGETS))
    .option('--dtype <type>', `of the projections: ${DTYPES.join(', ')}`, parseChoice('--dtype', DTYPES))
    .option(
      '--embedding-dtype <type>',
      'of the embedding table (default: as --dtype, int8 beside ternary)',
      parseType('--embedding-dtype'),
    )
    .option('--head-dtype <type>', 'of the output head (default: likewise)', parseType('--head-dtype'))
    .option('--group <n>', 'int8: inputs that share a scale (default: all)', parsePositiveInteger('--group'))
    .option('--layout <name>', `of the feed-forward: ${LAYOUTS.join(', ')}`, parseChoice('--layout', LAYOUTS), 'auto');
  addTextFileOptions(command, 'text on which --layout auto measures the open gates')
    .option(
      '--wina',
      'with --to checkpoint: inputs scaled so that top-K goes by |x| times the norm of its weights',
      false,
    )
    .option('--force', 'replace the packed model that is there', false)
    .option('--verify', 'compare the hashes of a packed MODEL; writes nothing', false)
    .addHelpText('after', HELP);
  addCommonOptions(command).action(convert);
}

async function convert(given: string, out: string | undefined, options: ConvertOptions): Promise<void> {
  const output = new Output(options);
  const path = await modelPath(given, output);
  await allOrNothing(output, async (signal) => {
    if (options.wina && options.to !== 'checkpoint') {
      throw new UsageError(
        '--wina',
        'it makes a checkpoint: expected --to checkpoint beside it. Add it, or leave --wina out.',
      );
    }
    if (options.verify) await verify(path, out, output, signal);
    else if (options.to === 'checkpoint')
      await makeCheckpoint({ path, out, wina: options.wina, unused: packingOptions(options) }, output, signal);
    else if (options.to !== undefined) await exportModel(exportRequest(path, out, options), output, signal);
    else await pack(path, out, options, output, signal);
  });
}

function exportRequest(model: string, out: string | undefined, options: ConvertOptions): ExportRequest {
  const unused = packingOptions(options).filter((name) => name !== '--dtype');
  return { model, out, format: options.to as ExportFormat, dtype: options.dtype, unused };
}

/** Those that were given and only say how to pack. */
function packingOptions(options: ConvertOptions): string[] {
  const { dtype, embeddingDtype, headDtype, group, layout, text, force } = options;
  const given = { '--dtype': dtype, '--embedding-dtype': embeddingDtype, '--head-dtype': headDtype, '--group': group };
  const names = Object.entries({ ...given, '--text': text, '--force': force || undefined });
  const layouts = layout === 'auto' ? [] : ['--layout'];
  return [...names.filter(([, value]) => value !== undefined).map(([name]) => name), ...layouts];
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
  const begin = performance.now();
  const source = openSource(path, 'convert');
  try {
    const { config } = source;
    // Refuses what does not fit before anything takes its time.
    planPacking(config, { ...sizes, layout: options.layout === 'auto' ? 'fused' : options.layout });
    const openGates = await gatesOf(source, options, output, signal);
    const layouts = layoutsFor(config, options.layout, openGates);
    const progress = output.progress();
    const report = await writePackedModel(source, target, {
      ...sizes,
      ...{ layout: layouts, replace: options.force, signal },
      onProgress: (done, total) => progress.update({ label: 'packing', done, total, unit: 'weights' }),
    });
    progress.done();
    const seconds = (performance.now() - begin) / 1000;
    const { path: model, format, step } = source;
    reportTo(output, { model, format, out: target, step, layouts, openGates, seconds }, report);
  } finally {
    source.close();
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

/** The share of open gates by layer, where they are asked for and can be closed. */
async function gatesOf(
  { path, config }: OpenedSource,
  options: ConvertOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number[] | null> {
  const texts = givenTexts(options);
  if (texts === undefined) return null;
  if (config.activation === 'silu' || hasGateThresholds(config)) {
    const why = hasGateThresholds(config) ? 'gates are closed by thresholds' : 'SiLU gates are never closed';
    output.note(`${why}: nothing to measure, the layout is fused`);
    return null;
  }
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  try {
    return await measureOpenGates(path, backend, texts, { progress: output.progress(), signal });
  } finally {
    backend.dispose();
  }
}

function layoutsFor(
  config: ModelConfig,
  layout: ConvertOptions['layout'],
  openGates: number[] | null,
): FeedForwardLayout[] {
  if (openGates !== null) return chooseLayouts(openGates, config);
  return Array.from({ length: config.nLayers }, () => (layout === 'auto' ? 'fused' : layout));
}

interface Conversion {
  model: string;
  format: OpenedSource['format'];
  out: string;
  step: number;
  layouts: FeedForwardLayout[];
  openGates: number[] | null;
  seconds: number;
}

function reportTo(output: Output, conversion: Conversion, report: PackReport): void {
  const { model, format, out, step, layouts, openGates, seconds } = conversion;
  const parts = partRows(report);
  const { bitsPerWeight } = parts[parts.length - 1];
  const origin = format === 'qsparse' ? `, step ${formatInteger(step)}` : ` (${format})`;
  output.line(`${model}${origin}, packed in ${formatDuration(seconds)}`);
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
