/**
 * The tokenizer of a run: the file or files that lie in its directory and in every checkpoint, and the tokenizer that is made of them.
 *
 * They are written before the text is tokenised, and a resume reads them there.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { writeFileAtomically } from '../../formats/atomic-write.ts';
import { readTokenizerConfigFile, writeTokenizerConfigFile } from '../../formats/model-files.ts';
import { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { type ModelText, tokenizerOfModel } from '../../tokenizer/tokenizer-of-model.ts';
import { runPaths } from '../../train/run-directory.ts';
import { FormatError, messageOf } from '../../util/errors.ts';

export interface RunTokenizer {
  tokenizer: Tokenizer;
  /** tokenizer.json as it is written into checkpoints. */
  tokenizerText: string;
  /** The contents of tokenizer_config.json, of a model that came from another program; null otherwise. */
  tokenizerConfig: object | null;
}

/** Of the text of a tokenizer.json. Throws FormatError that names `path`. */
export function runTokenizer(tokenizerText: string, path: string): RunTokenizer {
  return { tokenizer: Tokenizer.fromJson(parseJson(tokenizerText, path), path), tokenizerText, tokenizerConfig: null };
}

/** That of the model that a run begins with. Throws FormatError that names the model. */
export function tokenizerOfSource(model: ModelText): RunTokenizer {
  const { tokenizer, tokenizerConfig } = model;
  return { tokenizer: tokenizerOfModel(model), tokenizerText: JSON.stringify(tokenizer), tokenizerConfig };
}

/** Writes it into the directory of a run. */
export function saveTokenizer(directory: string, { tokenizerText, tokenizerConfig }: RunTokenizer): void {
  mkdirSync(directory, { recursive: true });
  writeTokenizerConfigFile(directory, tokenizerConfig);
  writeFileAtomically(runPaths(directory).tokenizer, tokenizerText);
}

/** Reads it from there. Throws FormatError where it is missing or damaged. */
export function savedTokenizer(directory: string): RunTokenizer {
  const { tokenizer: path } = runPaths(directory);
  if (!existsSync(path)) {
    const advice = 'Copy it from one of the checkpoints of the run';
    throw new FormatError('tokenizer', `${path} of the run is missing. ${advice}.`, path);
  }
  const tokenizerText = readFileSync(path, 'utf8');
  const tokenizerConfig = readTokenizerConfigFile(directory);
  if (tokenizerConfig === null) return runTokenizer(tokenizerText, path);
  const tokenizer = tokenizerOfModel({ tokenizer: parseJson(tokenizerText, path), tokenizerConfig, path: directory });
  return { tokenizer, tokenizerText, tokenizerConfig };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError('tokenizer', `${path} is no JSON: ${messageOf(error)}.`, path, { cause: error });
  }
}
