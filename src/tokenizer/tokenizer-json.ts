/** The parts of Hugging Face's tokenizer.json (version 1.0) that this project writes. */

export interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

export interface ByteLevelStep {
  type: 'ByteLevel';
  add_prefix_space: boolean;
  trim_offsets: boolean;
  use_regex: boolean;
}

/** Cuts a text into the matches of a pattern and what lies between them. */
export interface SplitStep {
  type: 'Split';
  pattern: { Regex: string };
  behavior: 'Isolated';
  invert: false;
}

export interface PreTokenizerSequence {
  type: 'Sequence';
  pretokenizers: (SplitStep | ByteLevelStep)[];
}

export type NormalizerStep =
  | { type: 'Prepend'; prepend: string }
  | { type: 'Replace'; pattern: { String: string } | { Regex: string }; content: string };

export interface NormalizerSequence {
  type: 'Sequence';
  normalizers: NormalizerStep[];
}

export type DecoderStep =
  | { type: 'Replace'; pattern: { String: string }; content: string }
  | { type: 'ByteFallback' }
  | { type: 'Fuse' }
  | { type: 'Strip'; content: string; start: number; stop: number };

export interface DecoderSequence {
  type: 'Sequence';
  decoders: DecoderStep[];
}

export interface BpeModelJson {
  type: 'BPE';
  dropout: null;
  unk_token: string | null;
  continuing_subword_prefix: null;
  end_of_word_suffix: null;
  fuse_unk: boolean;
  byte_fallback: boolean;
  ignore_merges: boolean;
  /** Token to id. */
  vocab: Record<string, number>;
  /** The earlier a pair, the earlier it is merged. */
  merges: [string, string][];
}

export interface TokenizerJson {
  version: '1.0';
  truncation: null;
  padding: null;
  added_tokens: AddedToken[];
  normalizer: NormalizerSequence | null;
  pre_tokenizer: ByteLevelStep | SplitStep | PreTokenizerSequence | null;
  post_processor: null;
  decoder: ByteLevelStep | DecoderSequence;
  model: BpeModelJson;
}
