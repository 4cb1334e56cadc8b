/**
 * Items become token ids: everything of a task that does not depend on weights or sparsity, so that it is done once for all runs, and the longest
 * sequence is known before the model takes memory for it.
 */

import { hashTexts } from './data/hash-texts.ts';
import type { PreparedAnswers, PreparedChoices, PreparedTask, PreparedText } from './evaluate.ts';
import { describeProtocol, type PerplexityProtocol, windowsOf } from './perplexity.ts';
import { type EvalTokenizer, encodeContext, encodeRequest } from './score-request.ts';
import type { ChoiceTask, GenerateTask } from './task.ts';
import type { ChoiceItem, GenerateItem } from './task-items.ts';

/** What takes time on a large task: called before each item. */
export type OnPrepare = (done: number, total: number) => void;

/** `maxTokens` is the context of the model: longer beginnings lose their left end, as in lm-evaluation-harness. Throws UsageError for a continuation that is longer. */
export function prepareChoices(
  task: ChoiceTask,
  items: readonly ChoiceItem[],
  tokenizer: EvalTokenizer,
  maxTokens: number,
  onPrepare?: OnPrepare,
): PreparedChoices {
  const requests = items.map(({ pairs }, i) => {
    onPrepare?.(i, items.length);
    const remembering = memoized(tokenizer); // choices share their context
    return pairs.map(([context, continuation]) => encodeRequest(remembering, context, continuation, maxTokens));
  });
  const hashes = items.map(({ pairs }) => hashTexts(pairs.flat()));
  return { type: 'multiple-choice', name: task.name, task, items, requests, numbers: numbersOf(items), hashes };
}

/** As prepareChoices; room for the answer is left in the context, at most half of it. */
export function prepareAnswers(
  task: GenerateTask,
  items: readonly GenerateItem[],
  tokenizer: EvalTokenizer,
  maxTokens: number,
  onPrepare?: OnPrepare,
): PreparedAnswers {
  const limit = Math.max(maxTokens - task.maxTokens, Math.ceil(maxTokens / 2));
  const prompts = items.map(({ prompt }, i) => {
    onPrepare?.(i, items.length);
    return encodeContext(tokenizer, prompt).slice(-limit);
  });
  const rules = [...task.until, `${task.maxTokens}`];
  const hashes = items.map(({ prompt, target }) => hashTexts([prompt, target, ...rules]));
  return { type: 'generate', name: task.name, task, items, prompts, numbers: numbersOf(items), hashes };
}

/** The first `mostTokens` tokens of texts, each in windows of its own; `name` is what records call them. */
export function prepareText(
  texts: readonly string[],
  tokenizer: EvalTokenizer & { decode(ids: readonly number[]): string },
  protocol: PerplexityProtocol,
  { name, mostTokens = Infinity }: { name: string; mostTokens?: number | undefined },
): PreparedText {
  const parts = firstTokens(texts, tokenizer, mostTokens);
  const requests = windowsOf(
    parts.map(({ ids }) => ids),
    protocol,
  );
  const sum = (of: (part: EncodedText) => number) => parts.reduce((total, part) => total + of(part), 0);
  const words = describeProtocol(protocol);
  const hashes = requests.map(({ context, continuation }) => hashTexts([words, context.join(), continuation.join()]));
  return {
    type: 'perplexity',
    name,
    requests,
    numbers: [...requests.keys()],
    hashes,
    bytesPerToken: sum(({ bytes }) => bytes) / sum(({ ids }) => ids.length),
  };
}

interface EncodedText {
  readonly ids: readonly number[];
  /** UTF-8, of what the ids stand for. */
  readonly bytes: number;
}

/** A text that is cut ends the row. */
function firstTokens(
  texts: readonly string[],
  tokenizer: EvalTokenizer & { decode(ids: readonly number[]): string },
  mostTokens: number,
): EncodedText[] {
  const parts: EncodedText[] = [];
  let left = mostTokens;
  for (const text of texts) {
    if (left === 0) break;
    const all = tokenizer.encode(text);
    const ids = all.slice(0, left);
    parts.push({ ids, bytes: Buffer.byteLength(ids.length === all.length ? text : tokenizer.decode(ids)) });
    left -= ids.length;
  }
  return parts;
}

/** The longest sequence that a prepared task needs: what the cache of the model must hold. */
export function longestOf(prepared: PreparedTask): number {
  if (prepared.type === 'generate') {
    return prepared.prompts.reduce((most, { length }) => Math.max(most, length), 0) + prepared.task.maxTokens;
  }
  return prepared.requests
    .flat()
    .reduce((most, { context, continuation }) => Math.max(most, context.length + continuation.length - 1), 1);
}

function numbersOf(items: readonly (ChoiceItem | GenerateItem)[]): number[] {
  return items.map(({ index }) => index);
}

function memoized(tokenizer: EvalTokenizer): EvalTokenizer {
  const known = new Map<string, number[]>();
  const encode = (text: string) => {
    const ids = known.get(text) ?? tokenizer.encode(text);
    known.set(text, ids);
    return ids;
  };
  return { ...tokenizer, encode };
}
