/** What a page and the Worker with its engine say to each other; and errors on their way between threads, which keep their class. */

import type {
  LoadProgress,
  TextModelInfo,
  TextOptions,
  TextPiece,
  TextPrompt,
  TextSummary,
} from '../load/text-model.ts';
import {
  BackendError,
  BusyError,
  FormatError,
  messageOf,
  QSparseError,
  ShapeError,
  UsageError,
} from '../util/errors.ts';

/** A URL, or files by their names. */
export type SentSource =
  | { readonly kind: 'url'; readonly href: string }
  | { readonly kind: 'files'; readonly files: readonly { readonly name: string; readonly blob: Blob }[] };

export interface SentLoadOptions {
  readonly threads: number | undefined;
  readonly contextTokens: number | undefined;
  readonly cache: boolean | undefined;
}

export type ToWorker =
  | { readonly type: 'load'; readonly source: SentSource; readonly options: SentLoadOptions }
  | {
      readonly type: 'generate';
      readonly id: number;
      readonly prompt: TextPrompt;
      readonly options: Omit<TextOptions, 'signal'>;
    }
  | { readonly type: 'stop'; readonly id: number };

export type FromWorker =
  | { readonly type: 'progress'; readonly progress: LoadProgress }
  | { readonly type: 'notice'; readonly line: string }
  | { readonly type: 'loaded'; readonly info: TextModelInfo }
  | { readonly type: 'load-failed'; readonly error: SentError }
  | { readonly type: 'piece'; readonly id: number; readonly piece: TextPiece }
  | { readonly type: 'ended'; readonly id: number; readonly summary: TextSummary }
  | { readonly type: 'failed'; readonly id: number; readonly error: SentError };

export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly where?: string;
}

const CLASSES = { BackendError, BusyError, FormatError, QSparseError, ShapeError, UsageError };

export function sendError(error: unknown): SentError {
  if (!(error instanceof QSparseError)) return { name: 'Error', message: messageOf(error) };
  return { name: error.name, message: error.message, where: error.where };
}

/** Of the class that it had. */
export function receiveError({ name, message, where }: SentError): Error {
  if (where === undefined || !Object.hasOwn(CLASSES, name)) return new Error(message);
  const Class = CLASSES[name as keyof typeof CLASSES];
  return new Class(where, message.replace(`[${where}] `, ''));
}
