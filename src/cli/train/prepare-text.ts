/**
 * From `--text` to batches: the tokenizer of the run (given, saved, or trained on the text) and the tokens on the disk.
 *
 * The tokenizer is written into the run directory before the text is tokenised; a resume reads it there, and the data
 * files vouch for the text by their hash.
 */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../../formats/atomic-write.ts';
import { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { trainBpe } from '../../tokenizer/train-bpe.ts';
import { prepareTokenData } from '../../train/prepare-token-data.ts';
import { type RunSettings, runPaths } from '../../train/run-directory.ts';
import { openTextSource, type TextSource } from '../../train/text-source.ts';
import { TokenData } from '../../train/token-data.ts';
import { FormatError, messageOf, UsageError } from '../../util/errors.ts';
import { formatBytes } from '../../util/format.ts';
import { onInterrupt } from '../shared/interrupt.ts';
import type { Output } from '../shared/output.ts';
import type { TrainCommandOptions } from './train-options.ts';

export interface PreparedText {
  tokenizer: Tokenizer;
  /** tokenizer.json as it is written into checkpoints. */
  tokenizerText: string;
  data: TokenData;
}

/** Merges hardly change beyond this much text; larger texts are sampled evenly. */
const TOKENIZER_TEXT_BYTES = 2 ** 25;

/**
 * null where Ctrl-C came while the text was tokenised; no run has begun then. Throws UsageError where the text or the
 * tokenizer does not fit the settings, FormatError where a file is damaged or a resumed run's text has changed.
 */
export async function prepareText(
  options: TrainCommandOptions,
  settings: RunSettings,
  output: Output,
): Promise<PreparedText | null> {
  const paths = runPaths(options.out);
  const source = openTextSource(settings.text.paths, { field: settings.text.field });
  const tokenizerText = options.resume ? savedTokenizer(options) : newTokenizer(options, settings, source, output);
  const tokenizerPath = options.tokenizer ?? paths.tokenizer;
  const tokenizer = Tokenizer.fromJson(parseJson(tokenizerText, tokenizerPath), tokenizerPath);
  checkVocabulary(options, settings, tokenizer);
  if (!options.resume) {
    writeFileAtomically(paths.tokenizer, tokenizerText);
    // Left over from an attempt that ended before its first step: no run depends on it.
    rmSync(join(paths.tokens, 'data.json'), { force: true });
  }
  const info = await tokenise(source, tokenizer, paths.tokens, settings, output);
  output.progress().done();
  if (info === null) {
    output.note('stopped while the text was tokenised; the same command begins again');
    return null;
  }
  if (info.split === 'inside') output.note('the only document was cut near its end: the rest is for validation');
  const data = new TokenData(paths.tokens, settings.train.seed);
  checkLength(data, settings);
  return { tokenizer, tokenizerText, data };
}

/** null where it was stopped. Before this, Ctrl-C ends the process at once: there is nothing to save. */
async function tokenise(
  source: TextSource,
  tokenizer: Tokenizer,
  directory: string,
  { train }: RunSettings,
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

function newTokenizer(options: TrainCommandOptions, settings: RunSettings, source: TextSource, output: Output): string {
  if (options.tokenizer !== undefined) return readText(options.tokenizer);
  const { vocabSize } = settings.model;
  const onRead = (done: number) =>
    output
      .progress()
      .update({ label: 'reading text for the tokenizer', done, total: source.totalBytes, unit: 'bytes' });
  const json = trainBpe(sampledText(source, onRead), {
    vocabSize,
    onProgress: ({ tokens }) =>
      output.progress().update({ label: 'training the tokenizer', done: tokens, total: vocabSize, unit: 'tokens' }),
  });
  output.progress().done(`tokenizer: ${vocabSize} tokens from ${formatBytes(source.totalBytes)} of text`);
  return JSON.stringify(json);
}

/** Every n-th chunk, so that together they are about TOKENIZER_TEXT_BYTES. */
function* sampledText(source: TextSource, onRead: (doneBytes: number) => void): Generator<string> {
  const every = Math.ceil(source.totalBytes / TOKENIZER_TEXT_BYTES);
  let number = 0;
  let doneBytes = 0;
  for (const { text, bytes } of source.chunks()) {
    onRead(doneBytes);
    if (number++ % every === 0) yield text;
    doneBytes += bytes;
  }
}

function savedTokenizer(options: TrainCommandOptions): string {
  const { tokenizer } = runPaths(options.out);
  if (!existsSync(tokenizer)) {
    const advice = 'Copy it from one of the checkpoints of the run';
    throw new FormatError('tokenizer', `${tokenizer} of the run is missing. ${advice}.`, tokenizer);
  }
  const saved = readText(tokenizer);
  if (options.tokenizer !== undefined && readText(options.tokenizer) !== saved) {
    throw new UsageError(
      '--tokenizer',
      `cannot change inside a run: ${options.tokenizer} is not ${tokenizer}. Leave it out.`,
    );
  }
  return saved;
}

/** The vocabulary of the model is that of its tokenizer; an option that says otherwise is a mistake. */
function checkVocabulary(options: TrainCommandOptions, settings: RunSettings, tokenizer: Tokenizer): void {
  const expected = options.resume ? settings.model.vocabSize : (options.vocabSize ?? tokenizer.vocabSize);
  if (expected === tokenizer.vocabSize) return;
  const where = options.resume ? runPaths(options.out).tokenizer : (options.tokenizer ?? '--vocab-size');
  throw new UsageError(
    '--vocab-size',
    `the tokenizer does not fit: expected ${expected} tokens, ${where} has ${tokenizer.vocabSize}.`,
  );
}

/** A text that is too short is better found before the run directory holds a run. */
function checkLength(data: TokenData, { model }: RunSettings): void {
  data.batch(0, 1, model.seqLen, new Int32Array(model.seqLen), new Int32Array(model.seqLen));
}

function readText(path: string): string {
  if (!existsSync(path)) throw new UsageError('tokenizer', `${path} does not exist. Check the path.`);
  return readFileSync(path, 'utf8');
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError('tokenizer', `${path} is no JSON: ${messageOf(error)}.`, path, { cause: error });
  }
}
