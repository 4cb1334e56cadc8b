/** What other programs want to know about a tokenizer.json besides its contents: which tokens begin and end a text, by name and by id. */

import { END_OF_TEXT } from '../tokenizer/train-bpe.ts';
import type { ExportSource } from './export-source.ts';

export interface SpecialToken {
  readonly content: string;
  readonly id: number;
}

export interface SpecialTokens {
  readonly bos: SpecialToken | null;
  readonly eos: SpecialToken | null;
  /** Ids of all tokens that end a text or an answer. */
  readonly ends: readonly number[];
  /** Whether a text is begun with `bos`. */
  readonly addBos: boolean;
}

/** By tokenizer_config.json where the model came with one; else the end of text of our own tokenizers is both. */
export function specialTokensOf({ tokenizer, tokenizerConfig }: ExportSource['text']): SpecialTokens {
  const find = (content: string | null): SpecialToken | null => {
    const id = content === null ? undefined : idOf(tokenizer as TokenizerFile, content);
    return id === undefined ? null : { content: content!, id };
  };
  if (tokenizerConfig === null) {
    const end = find(END_OF_TEXT);
    return { bos: end, eos: end, ends: end === null ? [] : [end.id], addBos: false };
  }
  const { bos_token, eos_token, add_bos_token, eosTokenIds } = tokenizerConfig as Record<string, unknown>;
  const eos = find(contentOf(eos_token));
  const ids = Array.isArray(eosTokenIds) ? (eosTokenIds as number[]) : [];
  const ends = [...new Set([...(eos ? [eos.id] : []), ...ids])];
  return { bos: find(contentOf(bos_token)), eos, ends, addBos: add_bos_token === true };
}

interface TokenizerFile {
  added_tokens?: { content: string; id: number }[];
  model?: { vocab?: Record<string, number> };
}

function idOf({ added_tokens = [], model }: TokenizerFile, content: string): number | undefined {
  const added = added_tokens.find((token) => token.content === content);
  const vocab = model?.vocab ?? {};
  return added?.id ?? (Object.hasOwn(vocab, content) ? vocab[content] : undefined);
}

/** tokenizer_config.json has a token as text or as an object with its content. */
function contentOf(token: unknown): string | null {
  if (typeof token === 'string') return token;
  const content = (token as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : null;
}
