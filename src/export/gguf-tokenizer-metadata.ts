/**
 * The tokenizer in a GGUF file's metadata, from a tokenizer.json with byte-level BPE.
 *
 * llama.cpp knows how a text is split into words by a name, not by an expression: the pre-tokenizer must be one that has a name there, or
 * ids would differ without a word. Ids that the model has and the tokenizer lacks are filled up as llama.cpp's own converter does it.
 * Source: llama.cpp, src/llama-vocab.cpp (names and expressions), conversion/base.py (get_vocab_base).
 */

import type { GgufValue } from '../formats/gguf-writer.ts';
import { UsageError } from '../util/errors.ts';
import type { ExportSource } from './export-source.ts';
import { specialTokensOf } from './special-tokens.ts';

const TOKEN_TYPES = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/** The expressions of pre-tokenizers that split themselves and leave only the bytes to ByteLevel. */
const NAMED_SPLITS: Readonly<Record<string, string>> = {
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+":
    'llama-bpe',
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+":
    'qwen2',
};

/** Throws UsageError for a tokenizer that llama.cpp would read as another one. */
export function ggufTokenizerMetadata(text: ExportSource['text'], vocabSize: number): Map<string, GgufValue> {
  const json = text.tokenizer as TokenizerFile;
  const { model } = json;
  if (model?.type !== 'BPE' || model.byte_fallback) refuse(`expected byte-level BPE, got ${kindOf(model)}`);
  if (!isEmpty(json.normalizer)) refuse(`it normalises texts (${describe(json.normalizer)})`);
  const pre = preTokenizerName(json.pre_tokenizer);
  if (pre === null) refuse(`llama.cpp has no name for its pre-tokenizer (${describe(json.pre_tokenizer)})`);
  // By its name too: whether a word that is a token is taken whole.
  if ((model!.ignore_merges ?? false) !== (pre === 'llama-bpe')) {
    refuse(`ignore_merges ${model!.ignore_merges ?? false} is not what llama.cpp does with the pre-tokenizer ${pre}`);
  }
  const { tokens, types } = tokensOf(json, vocabSize);
  const { bos, eos, addBos } = specialTokensOf(text);
  const template = (text.tokenizerConfig as { chat_template?: unknown } | null)?.chat_template;
  const metadata: Record<string, GgufValue> = {
    model: { string: 'gpt2' },
    pre: { string: pre! },
    tokens: { strings: tokens },
    token_type: { i32s: types },
    merges: { strings: model!.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))) },
    ...(bos && { bos_token_id: { u32: bos.id } }),
    ...(eos && { eos_token_id: { u32: eos.id } }),
    add_bos_token: { bool: addBos },
  };
  const named = Object.entries(metadata).map(([key, value]): [string, GgufValue] => [`tokenizer.ggml.${key}`, value]);
  if (typeof template === 'string') named.push(['tokenizer.chat_template', { string: template }]);
  return new Map(named);
}

interface Step {
  type?: string;
  use_regex?: boolean;
  add_prefix_space?: boolean;
  individual_digits?: boolean;
  pattern?: { Regex?: string };
  behavior?: string;
  invert?: boolean;
  pretokenizers?: Step[];
}

interface TokenizerFile {
  added_tokens?: { id: number; content: string; special: boolean }[];
  normalizer?: Step | null;
  pre_tokenizer?: Step | null;
  model?: {
    type?: string;
    byte_fallback?: boolean;
    ignore_merges?: boolean;
    vocab: Record<string, number>;
    merges: (string | [string, string])[];
  };
}

function preTokenizerName(step: Step | null | undefined): string | null {
  if (isByteLevel(step, true)) return 'gpt-2';
  if (step?.type !== 'Sequence' || step.pretokenizers?.length !== 2) return null;
  const [first, second] = step.pretokenizers;
  if (first.type === 'Digits' && first.individual_digits && isByteLevel(second, true)) return 'smollm';
  const splits = first.type === 'Split' && first.behavior === 'Isolated' && !first.invert && isByteLevel(second, false);
  return splits ? (NAMED_SPLITS[first.pattern?.Regex ?? ''] ?? null) : null;
}

function isByteLevel(step: Step | null | undefined, useRegex: boolean): boolean {
  return step?.type === 'ByteLevel' && !step.add_prefix_space && (step.use_regex ?? true) === useRegex;
}

/** A normaliser of no steps, or none. */
function isEmpty(step: Step | null | undefined): boolean {
  return step === null || step === undefined;
}

function tokensOf(
  { model, added_tokens = [] }: TokenizerFile,
  vocabSize: number,
): { tokens: string[]; types: number[] } {
  const tokens = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`);
  const types = tokens.map((): number => TOKEN_TYPES.unused);
  const put = (id: number, token: string, type: number) => {
    if (!(id < vocabSize)) refuse(`its token ${id} is beyond the ${vocabSize} of the model`);
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(model!.vocab)) put(id, token, TOKEN_TYPES.normal);
  for (const { id, content, special } of added_tokens) {
    put(id, content, special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined);
  }
  return { tokens, types };
}

function kindOf(model: TokenizerFile['model']): string {
  if (model?.type === undefined) return 'none';
  return model.byte_fallback ? `${model.type} with bytes as a fallback` : model.type;
}

function describe(step: unknown): string {
  const text = JSON.stringify(step) ?? 'none';
  return text.length > 120 ? `${text.slice(0, 120)}...` : text;
}

function refuse(why: string): never {
  throw new UsageError('export', `the tokenizer cannot be written as GGUF: ${why}. Use --to hf.`);
}
