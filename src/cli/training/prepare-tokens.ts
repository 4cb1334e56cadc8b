/** A text in tokens on the disk of a run, as batches; the data files vouch for the text by its hash. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { prepareTokenData, type TokenDataInfo } from '../../train/prepare-token-data.ts';
import type { TextSource } from '../../train/text-source.ts';
import { TokenData } from '../../train/token-data.ts';
import type { TrainConfig } from '../../train/train-config.ts';
import { formatPercent } from '../../util/format.ts';
import { onInterrupt } from '../shared/interrupt.ts';
import type { Output } from '../shared/output.ts';

const MUCH_MORE = 2;

export interface PrepareTokensOptions {
  source: TextSource;
  tokenizer: Tokenizer;
  directory: string;
  train: TrainConfig;
  /** The directory is that of a run that goes on: what lies there is its text, and must not change. */
  resume: boolean;
  /** false: what is held out of it measures nothing. */
  isValidated?: boolean;
}

/**
 * null where Ctrl-C came while the text was tokenised; no run has begun then. Throws UsageError where the text is too short or the
 * tokenizer ends no texts, FormatError where a file is damaged or a resumed run's text has changed.
 */
export async function prepareTokens(options: PrepareTokensOptions, output: Output): Promise<TokenData | null> {
  const { directory, train, resume, isValidated = true } = options;
  // Left over from an attempt that ended before its first step: no run depends on it.
  if (!resume) rmSync(join(directory, 'data.json'), { force: true });
  const info = await tokenise(options, output);
  output.progress().done();
  if (info === null) {
    output.note('stopped while the text was tokenised; the same command begins again');
    return null;
  }
  if (info.split === 'inside') output.note('the only document was cut near its end: the rest is for validation');
  if (!resume && isValidated) noteLargeShare(info, train, output);
  const data = new TokenData(directory, train.seed);
  checkLength(data, train);
  return data;
}

/** Documents are kept whole: of a few large ones much more may be held out than was asked for. */
function noteLargeShare(
  { split, train, validation }: TokenDataInfo,
  { validationShare }: TrainConfig,
  output: Output,
): void {
  const share = validation.bytes / (train.bytes + validation.bytes);
  if (split !== 'documents' || share < MUCH_MORE * validationShare) return;
  const held = `${formatPercent(share)} of the text is held out for validation, where ${formatPercent(validationShare)} were asked for`;
  output.note(`${held}: documents stay whole, and this text has few. Shorter files divide better`);
}

/** null where it was stopped. Before this, Ctrl-C ends the process at once: there is nothing to save. */
async function tokenise(
  { source, tokenizer, directory, train }: PrepareTokensOptions,
  output: Output,
): Promise<Awaited<ReturnType<typeof prepareTokenData>> | null> {
  const interrupt = onInterrupt();
  try {
    return await prepareTokenData({
      source,
      tokenizer,
      directory,
      validationShare: train.validationShare,
      seed: train.seed,
      signal: interrupt.signal,
      onProgress: ({ phase, doneBytes, totalBytes }) =>
        output.progress().update({
          label: phase === 'measure' ? 'reading text' : 'tokenising',
          done: doneBytes,
          ...(totalBytes > 0 && { total: totalBytes }),
          unit: 'bytes',
        }),
    });
  } catch (error) {
    if (error !== interrupt.signal.reason) throw error;
    return null;
  } finally {
    interrupt.dispose();
  }
}

/** A text that is too short is better found before the run directory holds a run. */
function checkLength(data: TokenData, { seqLen }: TrainConfig): void {
  data.batch(0, 1, seqLen, new Int32Array(seqLen), new Int32Array(seqLen));
}
