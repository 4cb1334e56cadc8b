/**
 * The tokenizer in a GGUF file's metadata, from a tokenizer.json: byte-level BPE ("gpt2"), or BPE with bytes as a fallback as SentencePiece's pieces
 * ("llama").
 *
 * llama.cpp knows how a text is split into words by a name, not by an expression: the pre-tokenizer must be one that has a name there, or
 * ids would differ without a word. Ids that the model has and the tokenizer lacks are filled up as llama.cpp's own converter does it. As that does, a
 * normalisation to NFC is left out, which changes nothing for texts that are in NFC; so are the spaces that added tokens take with them (lstrip, rstrip), of which GGUF knows
 * nothing. `leftOutOf` says so.
 * Source: llama.cpp, src/llama-vocab.cpp (names and expressions), conversion/base.py (get_vocab_base).
 */

import type { GgufValue } from '../formats/gguf-writer.ts';
import { type FallbackTokenizer, piecesOfTokenizer } from '../tokenizer/pieces-of-tokenizer.ts';
import { nameOfPreTokenizer } from '../tokenizer/pre-tokenizers.ts';
import { PIECE } from '../tokenizer/sentencepiece-pieces.ts';
import { UsageError } from '../util/errors.ts';
import type { ExportSource } from './export-source.ts';
import { specialTokensOf } from './special-tokens.ts';

type Metadata = Record<string, GgufValue>;

/** Throws UsageError for a tokenizer that llama.cpp would read as another one. */
export function ggufTokenizerMetadata(text: ExportSource['text'], vocabSize: number): Map<string, GgufValue> {
  const json = text.tokenizer as TokenizerFile;
  const { model } = json;
  if (model?.type !== 'BPE') refuse(`expected BPE, got ${model?.type ?? 'none'}`);
  const { bos, eos, ends, addBos } = specialTokensOf(text);
  const [eot, eom] = ends.filter((id) => id !== eos?.id);
  const template = (text.tokenizerConfig as { chat_template?: unknown } | null)?.chat_template;
  const metadata: Metadata = {
    ...(model!.byte_fallback ? pieceMetadata(json as FallbackTokenizer, vocabSize) : bpeMetadata(json, vocabSize)),
    ...(bos && { bos_token_id: { u32: bos.id } }),
    ...(eos && { eos_token_id: { u32: eos.id } }),
    ...(eot !== undefined && { eot_token_id: { u32: eot } }),
    ...(eom !== undefined && { eom_token_id: { u32: eom } }),
    add_bos_token: { bool: addBos },
  };
  const named = Object.entries(metadata).map(([key, value]): [string, GgufValue] => [`tokenizer.ggml.${key}`, value]);
  if (typeof template === 'string') named.push(['tokenizer.chat_template', { string: template }]);
  return new Map(named);
}

/** What of a tokenizer llama.cpp will not do, in words; none in most cases. */
export function leftOutOf(tokenizer: object): string[] {
  const { normalizer, added_tokens = [] } = tokenizer as TokenizerFile;
  const stripping = added_tokens.filter(({ lstrip, rstrip }) => lstrip || rstrip).map(({ content }) => content);
  return [
    ...(isNfc(normalizer) ? ['texts are not brought into NFC'] : []),
    ...(stripping.length > 0 ? [`spaces around ${stripping.slice(0, 5).join(', ')} stay`] : []),
  ];
}

function isNfc(normalizer: TokenizerFile['normalizer']): boolean {
  return normalizer?.type === 'NFC';
}

interface TokenizerFile {
  added_tokens?: { id: number; content: string; special: boolean; lstrip?: boolean; rstrip?: boolean }[];
  normalizer?: { type?: string } | null;
  pre_tokenizer?: object | null;
  model?: {
    type?: string;
    byte_fallback?: boolean;
    ignore_merges?: boolean;
    vocab: Record<string, number>;
    merges: (string | [string, string])[];
  };
}

function bpeMetadata(json: TokenizerFile, vocabSize: number): Metadata {
  const { normalizer, pre_tokenizer } = json;
  const { merges, ignore_merges = false } = json.model!;
  if (normalizer && !isNfc(normalizer)) refuse(`it normalises texts (${describe(normalizer)})`);
  const pre = nameOfPreTokenizer(pre_tokenizer, ignore_merges);
  if (pre === null) {
    const whole = ignore_merges ? ' that takes words that are tokens whole' : '';
    refuse(`llama.cpp has no name for its pre-tokenizer${whole} (${describe(pre_tokenizer)})`);
  }
  const { tokens, types } = tokensOf(json, vocabSize);
  return {
    model: { string: 'gpt2' },
    pre: { string: pre },
    tokens: { strings: tokens },
    token_type: { i32s: types },
    merges: { strings: merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))) },
  };
}

function pieceMetadata(json: FallbackTokenizer, vocabSize: number): Metadata {
  const found = piecesOfTokenizer(json);
  if (typeof found === 'string') refuse(`as the pieces of SentencePiece, which llama.cpp wants of it: ${found}`);
  const { pieces, addPrefixSpace } = found;
  const { tokens, types } = filledUp(vocabSize, (put) => {
    for (const [id, { text, kind }] of pieces.entries()) put(id, text, kind);
  });
  const unknown = pieces.findIndex(({ kind }) => kind === PIECE.unknown);
  return {
    model: { string: 'llama' },
    pre: { string: 'default' },
    tokens: { strings: tokens },
    scores: { f32s: tokens.map((_, id) => pieces[id]?.score ?? 0) },
    token_type: { i32s: types },
    add_space_prefix: { bool: addPrefixSpace },
    ...(unknown >= 0 && { unknown_token_id: { u32: unknown } }),
  };
}

function tokensOf({ model, added_tokens = [] }: TokenizerFile, vocabSize: number) {
  return filledUp(vocabSize, (put) => {
    for (const [token, id] of Object.entries(model!.vocab)) put(id, token, PIECE.normal);
    for (const { id, content, special } of added_tokens) {
      put(id, content, special ? PIECE.control : PIECE.userDefined);
    }
  });
}

/** Tokens and their kinds by id; those that `fill` does not put stand for nothing. */
function filledUp(
  vocabSize: number,
  fill: (put: (id: number, token: string, kind: number) => void) => void,
): { tokens: string[]; types: number[] } {
  const tokens = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`);
  const types = tokens.map((): number => PIECE.unused);
  fill((id, token, kind) => {
    if (!(id < vocabSize)) refuse(`its token ${id} is beyond the ${vocabSize} of the model`);
    tokens[id] = token;
    types[id] = kind;
  });
  return { tokens, types };
}

function describe(step: unknown): string {
  const text = JSON.stringify(step) ?? 'none';
  return text.length > 120 ? `${text.slice(0, 120)}...` : text;
}

function refuse(why: string): never {
  throw new UsageError('export', `the tokenizer cannot be written as GGUF: ${why}. Use --to hf.`);
}
