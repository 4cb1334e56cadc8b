/**
 * From `--text` to batches for `qsparse train`: the tokenizer of the run (given, saved, or trained on the text) and the tokens on the disk.
 */

import { existsSync, readFileSync } from 'node:fs';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { trainBpe } from '../../tokenizer/train-bpe.ts';
import { type RunSettings, runPaths } from '../../train/run-directory.ts';
import { openTextSource, type TextSource } from '../../train/text-source.ts';
import type { TokenData } from '../../train/token-data.ts';
import { UsageError } from '../../util/errors.ts';
import { formatBytes } from '../../util/format.ts';
import type { Output } from '../shared/output.ts';
import { prepareTokens } from '../training/prepare-tokens.ts';
import { type RunTokenizer, runTokenizer, savedTokenizer, saveTokenizer } from '../training/run-tokenizer.ts';
import type { TrainCommandOptions } from './train-options.ts';

export interface PreparedText extends RunTokenizer {
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
  const { out, resume } = options;
  const source = openTextSource(settings.text.paths, { field: settings.text.field });
  const text = resume ? saved(options) : newTokenizer(options, settings, source, output);
  checkVocabulary(options, settings, text.tokenizer);
  if (!resume) saveTokenizer(out, text);
  const { tokenizer } = text;
  const directory = runPaths(out).tokens;
  const data = await prepareTokens({ source, tokenizer, directory, train: settings.train, resume }, output);
  return data && { ...text, data };
}

function newTokenizer(
  options: TrainCommandOptions,
  settings: RunSettings,
  source: TextSource,
  output: Output,
): RunTokenizer {
  if (options.tokenizer !== undefined) return runTokenizer(readText(options.tokenizer), options.tokenizer);
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
  return runTokenizer(JSON.stringify(json), runPaths(options.out).tokenizer);
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

function saved({ out, tokenizer }: TrainCommandOptions): RunTokenizer {
  const text = savedTokenizer(out);
  if (tokenizer !== undefined && readText(tokenizer) !== text.tokenizerText) {
    const what = `${tokenizer} is not ${runPaths(out).tokenizer}`;
    throw new UsageError('--tokenizer', `cannot change inside a run: ${what}. Leave it out.`);
  }
  return text;
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

function readText(path: string): string {
  if (!existsSync(path)) throw new UsageError('tokenizer', `${path} does not exist. Check the path.`);
  return readFileSync(path, 'utf8');
}
