/** From `--data` to packed batches, with everything said that is worth knowing before the training: lengths, what is cut, how full the rows are. */

import { statSync } from 'node:fs';
import { countAdapters, type Lora } from '../../model/adapted-weights.ts';
import type { ModelConfig } from '../../model/config.ts';
import { countParameters } from '../../model/parameters.ts';
import { type PreparedExamples, prepareExamples } from '../../sft/prepare-examples.ts';
import { SftData } from '../../sft/sft-data.ts';
import { loraOf, type TrainConfig } from '../../train/train-config.ts';
import { formatCount, formatInteger, formatPercent } from '../../util/format.ts';
import { chatForm } from '../shared/chat-form.ts';
import type { Output } from '../shared/output.ts';
import type { RunTokenizer } from '../training/run-tokenizer.ts';

export interface ConversationSource {
  paths: readonly string[];
  skipBad: boolean;
  text: RunTokenizer;
  model: ModelConfig;
  train: TrainConfig;
  /** What a template that writes the date is told. */
  date: string | undefined;
  /** For messages of the template. */
  modelPath: string;
}

export interface PreparedConversations {
  data: SftData;
  description: string;
  /** Of ids, masks and borders. */
  sha256: string;
  firstPrompt: string;
}

/** Problems of what is skipped that are shown; all are counted. */
const MOST_SHOWN = 3;

/** Throws FormatError that names file and line, UsageError where nothing is left. */
export function prepareConversations(source: ConversationSource, output: Output): PreparedConversations {
  const { paths, skipBad, text, model, train, date, modelPath } = source;
  const { tokenizer } = text;
  const { seqLen, seed, validationShare } = train;
  const total = paths.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
  let [done, shown] = [0, 0];
  const onRecord = (bytes: number, problem: string | null) => {
    done += bytes;
    output.progress().update({ label: 'reading conversations', done, total, unit: 'bytes' });
    if (problem !== null && shown++ < MOST_SHOWN) output.warn(`skipped: ${problem}`);
  };
  const now = date === undefined ? undefined : new Date(date);
  const form = chatForm(undefined, tokenizer.config, modelPath, now);
  const prepared = prepareExamples({ paths, form, tokenizer, seqLen, skipBad, onRecord });
  output.progress().done();
  const { examples, firstPrompt } = prepared;
  const data = new SftData(examples, { seqLen, seed, validationShare, decode: (ids) => tokenizer.decode(ids) });
  const lora = loraOf(train);
  const adapters = lora === null ? [] : [describeAdapters(model, lora)];
  const description = [...describe(prepared, data, seqLen), ...adapters].join('\n');
  return { data, description, sha256: examples.digest(), firstPrompt };
}

function describe({ lengths, cut, dropped, skipped }: PreparedExamples, data: SftData, seqLen: number): string[] {
  const { trainExamples, validationExamples, trainRows, trainAnswers, trainTokens, filled } = data;
  const of = (count: number, what: string) => (count > 0 ? [`${formatInteger(count)} ${what}`] : []);
  const left = [
    ...of(cut, `cut to ${formatInteger(seqLen)} tokens`),
    ...of(dropped, 'left out: no answer in them'),
    ...of(skipped, 'skipped'),
  ];
  const { mean, median, p95, longest } = lengths;
  return [
    `data     ${formatInteger(trainExamples)} conversations to train on, ${formatInteger(validationExamples)} to validate; ` +
      (left.join(', ') || 'none cut'),
    `lengths  mean ${formatInteger(mean)}, median ${formatInteger(median)}, 95 % up to ${formatInteger(p95)}, ` +
      `longest ${formatInteger(longest)} tokens`,
    `rows     ${formatInteger(trainRows)} of ${formatInteger(seqLen)} tokens, ${formatPercent(filled)} full; ` +
      `answers are ${formatPercent(trainAnswers / (trainTokens * filled))} of what is read`,
  ];
}

function describeAdapters(model: ModelConfig, lora: Lora): string {
  const { rank, alpha, points } = lora;
  const count = `${formatCount(countAdapters(model, lora))} of ${formatCount(countParameters(model))} parameters`;
  return `adapters rank ${rank}, alpha ${alpha}, on ${points.join(', ')}: ${count} are trained`;
}
