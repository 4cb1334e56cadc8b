/**
 * From the files of a fine-tuning to its examples: every record read, parsed, rendered, masked and cut, and what became of them counted.
 *
 * One that cannot be used ends it with an error that names file and line; only where it was asked for it is passed over, and then counted.
 */

import type { ChatForm } from '../chat/chat-form.ts';
import type { ChatMessage } from '../chat/chat-template.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { FormatError, messageOf, QSparseError, UsageError } from '../util/errors.ts';
import { encodeConversation } from './encode-conversation.ts';
import { Examples } from './examples.ts';
import { MAX_RECORD_BYTES, parseConversation } from './parse-conversation.ts';
import { recordsOf } from './records.ts';

export interface PrepareExamplesOptions {
  paths: readonly string[];
  form: ChatForm;
  tokenizer: Tokenizer;
  seqLen: number;
  /** Pass over records that cannot be used. */
  skipBad: boolean;
  /** Is told of every record, and of what was wrong with one that was passed over. */
  onRecord?: (bytes: number, problem: string | null) => void;
}

/** Ids of the conversations before they are cut, sorted. */
export interface LengthStatistics {
  readonly mean: number;
  readonly median: number;
  readonly p95: number;
  readonly longest: number;
}

export interface PreparedExamples {
  readonly examples: Examples;
  readonly lengths: LengthStatistics;
  /** Longer than the context: their ends are missing. */
  readonly cut: number;
  /** All of whose answers lie behind the context. */
  readonly dropped: number;
  /** Records passed over. */
  readonly skipped: number;
  /** The first question as a model is asked it. */
  readonly firstPrompt: string;
}

/** Throws FormatError that names file and line, UsageError for a file that cannot be read and where no example is left. */
export function prepareExamples(options: PrepareExamplesOptions): PreparedExamples {
  const { paths, seqLen, onRecord } = options;
  const examples = new Examples(seqLen);
  const lengths: number[] = [];
  const counts = { whole: 0, cut: 0, dropped: 0, skipped: 0 };
  let firstProblem: string | null = null;
  let firstPrompt: string | null = null;
  for (const path of paths) {
    for (const record of recordsOf(path, MAX_RECORD_BYTES)) {
      let problem: string | null = null;
      try {
        const messages = parseConversation(record, path);
        if (messages === null) continue;
        const encoded = encodeRecord(messages, options, `${path} line ${record.line}`, path);
        lengths.push(encoded.ids.length);
        counts[examples.add(encoded)]++;
        firstPrompt ??= options.form.template.render(messages.slice(0, messages.findIndex(isAnswer)));
      } catch (error) {
        if (!options.skipBad || !(error instanceof FormatError)) throw error;
        problem = error.message;
        firstProblem ??= problem;
        counts.skipped++;
      }
      onRecord?.(record.length + 1, problem);
    }
  }
  if (examples.count === 0 || firstPrompt === null) throw nothingLeft(options, counts, firstProblem);
  const { cut, dropped, skipped } = counts;
  return { examples, lengths: statisticsOf(lengths), cut, dropped, skipped, firstPrompt };
}

const isAnswer = ({ role }: ChatMessage) => role === 'assistant';

/** What the template says of one conversation is said with its place. */
function encodeRecord(
  messages: readonly ChatMessage[],
  { form, tokenizer }: PrepareExamplesOptions,
  where: string,
  path: string,
): ReturnType<typeof encodeConversation> {
  try {
    return encodeConversation(messages, form, tokenizer);
  } catch (error) {
    if (!(error instanceof QSparseError)) throw error;
    throw new FormatError('sft', `${where}: ${messageOf(error).replace(/^\[[^\]]*\] /, '')}`, path, { cause: error });
  }
}

function nothingLeft(
  { paths, seqLen }: PrepareExamplesOptions,
  { dropped, skipped }: { dropped: number; skipped: number },
  firstProblem: string | null,
): UsageError {
  const reasons = [
    ...(dropped > 0 ? [`${dropped} have no answer inside of ${seqLen} tokens (--seq-len)`] : []),
    ...(firstProblem === null ? [] : [`${skipped} were skipped, the first: ${firstProblem}`]),
  ];
  const why =
    reasons.length > 0 ? `: ${reasons.join('; ')}` : ': expected JSON lines or a JSON list, found nothing in it';
  return new UsageError('sft', `${paths.join(', ')}: no conversation is left to train on${why}.`.replace(/\.\.$/, '.'));
}

function statisticsOf(lengths: number[]): LengthStatistics {
  const sorted = lengths.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const sum = sorted.reduce((total, length) => total + length, 0);
  return { mean: sum / sorted.length, median: at(0.5), p95: at(0.95), longest: sorted[sorted.length - 1] };
}
