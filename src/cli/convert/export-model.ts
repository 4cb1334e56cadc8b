/** `qsparse convert MODEL OUT --to hf|gguf`: checks the options, writes the model for other programs and says what they will compute. */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { type ExportSource, exportSourceOf, openExportSource } from '../../export/export-source.ts';
import { GGUF_EXPORT_TYPES } from '../../export/gguf-architecture.ts';
import { HF_TYPES } from '../../export/make-hf-config.ts';
import { writeGguf } from '../../export/write-gguf.ts';
import { writeHuggingFace } from '../../export/write-hugging-face.ts';
import { isForeign, openForeign } from '../../import/open-model.ts';
import type { ModelConfig } from '../../model/config.ts';
import { isSparse } from '../../model/qsparse-key.ts';
import { UsageError } from '../../util/errors.ts';
import { formatBytes, formatDuration, formatInteger } from '../../util/format.ts';
import type { Output } from '../shared/output.ts';

export const EXPORT_FORMATS = ['hf', 'gguf'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What --dtype may be with --to; the first is the default. */
export const EXPORT_TYPES = { hf: HF_TYPES, gguf: GGUF_EXPORT_TYPES } as const;

export interface ExportRequest {
  model: string;
  out: string | undefined;
  format: ExportFormat;
  dtype: string | undefined;
  /** Options of packing that were given although they say nothing here. */
  unused: readonly string[];
}

/** Throws UsageError for options that do not fit and for an OUT that holds something, before the model is opened. */
export async function exportModel(request: ExportRequest, output: Output, signal: AbortSignal): Promise<void> {
  const { model, format, unused } = request;
  const type = checkType(request);
  if (unused.length > 0) {
    throw new UsageError(unused[0], `it belongs to packed models: expected none with --to ${format}. Leave it out.`);
  }
  const out = checkTarget(request.out, format);
  const source = isForeign(model) ? exportSourceOf(openForeign(model)) : openExportSource(model);
  const begin = performance.now();
  try {
    const progress = output.progress();
    const options = {
      signal,
      onProgress: (done: number, total: number) => progress.update({ label: 'writing', done, total, unit: 'weights' }),
    };
    const report =
      type.format === 'hf'
        ? await writeHuggingFace(source, out, { ...options, type: type.dtype })
        : await writeGguf(source, out, { ...options, type: type.dtype });
    progress.done();
    const seconds = (performance.now() - begin) / 1000;
    reportTo(output, source, { out, format, dtype: type.dtype, seconds, ...report });
  } finally {
    source.close();
  }
}

type CheckedType =
  | { format: 'hf'; dtype: (typeof HF_TYPES)[number] }
  | { format: 'gguf'; dtype: (typeof GGUF_EXPORT_TYPES)[number] };

function checkType({ format, dtype }: ExportRequest): CheckedType {
  const types: readonly string[] = EXPORT_TYPES[format];
  const chosen = dtype ?? types[0];
  if (types.includes(chosen)) return { format, dtype: chosen } as CheckedType;
  throw new UsageError('--dtype', `expected one of ${types.join(', ')} with --to ${format}, got "${chosen}".`);
}

function checkTarget(out: string | undefined, format: ExportFormat): string {
  if (out === undefined) {
    const what = format === 'hf' ? 'a directory' : 'a file';
    throw new UsageError('convert', `expected ${what} to write, got none. Name it behind MODEL.`);
  }
  const isEmptyDirectory = () => format === 'hf' && statSync(out).isDirectory() && readdirSync(out).length === 0;
  if (!existsSync(out) || isEmptyDirectory()) return out;
  throw new UsageError('convert', `${out} exists: what was exported is never replaced. Choose another name.`);
}

interface Exported {
  out: string;
  format: ExportFormat;
  dtype: string;
  seconds: number;
  architecture: string;
  tensors: number;
  weights: number;
  bytes: number;
  tokenizerLeftOut?: readonly string[];
  splitsOtherwise?: boolean;
}

function reportTo(output: Output, { path, config }: ExportSource, exported: Exported): void {
  const { out, dtype, seconds, architecture, tensors, weights, bytes } = exported;
  output.line(`${path} as ${architecture} in ${dtype}, written in ${formatDuration(seconds)}`);
  output.line(`${out}: ${formatInteger(tensors)} tensors, ${formatInteger(weights)} numbers, ${formatBytes(bytes)}`);
  const left = leftOut(config);
  if (left.length > 0) {
    output.note(
      `other programs compute the dense function of these weights: they know nothing of ${left.join(' and ')}`,
    );
  }
  for (const what of exported.tokenizerLeftOut ?? []) {
    output.note(
      `a GGUF file cannot say all that this tokenizer does: in llama.cpp ${what}, and such texts get other ids`,
    );
  }
  if (exported.splitsOtherwise) {
    output.note(
      "transformers cuts the texts of this architecture as Qwen2's own tokenizer does: for the ids of this one, load it with PreTrainedTokenizerFast",
    );
  }
  output.json({ model: path, leftOut: left, ...exported });
}

/** What the model computes and other programs do not. */
function leftOut(config: ModelConfig): string[] {
  return [
    ...(isSparse(config) ? [`its ${config.sparsifier} sparsity`] : []),
    ...(config.activationFormat === 'int8' ? ['its activations of 8 bits'] : []),
  ];
}
