/** byteLevelJson: the contents of a tokenizer.json with byte-level BPE, of the parts in which two such tokenizers differ. */

import { byteLevel } from './pre-tokenizers.ts';
import type { AddedToken, TokenizerJson } from './tokenizer-json.ts';

export interface ByteLevelParts {
  /** Token to id. */
  vocab: Record<string, number>;
  /** The earlier a pair, the earlier it is merged. */
  merges: [string, string][];
  /** Found in a text before it is cut. */
  added: readonly Pick<AddedToken, 'id' | 'content' | 'special'>[];
  /** How a text is cut into words. Default: as GPT-2 does. */
  preTokenizer?: TokenizerJson['pre_tokenizer'];
  /** A word that is a token is not merged from its characters. Default: it is. */
  ignoreMerges?: boolean;
}

const PLAIN = { single_word: false, lstrip: false, rstrip: false, normalized: false } as const;

export function byteLevelJson(parts: ByteLevelParts): TokenizerJson {
  const { vocab, merges, added, preTokenizer = byteLevel(true), ignoreMerges = false } = parts;
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(({ id, content, special }) => ({ id, content, ...PLAIN, special })),
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder: byteLevel(true),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      vocab,
      merges,
    },
  };
}
