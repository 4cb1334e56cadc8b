/**
 * The pre-tokenizers that GGUF files name in `tokenizer.ggml.pre`: how a text is cut into words before the pairs of a byte-level BPE are
 * merged, as the steps of a tokenizer.json.
 *
 * A file holds the name alone; what it means stands in the programs. Several patterns are applied one after the other, each to
 * the pieces of the one before it: what matches and what lies between is a piece. Contractions spell both cases, because not every reader of
 * a tokenizer.json has `(?i:...)`. Source: llama.cpp, src/llama-vocab.cpp, and the tokenizer.json of the models.
 */

import { FormatError, nearestName } from '../util/errors.ts';
import type { ByteLevelStep, PreTokenizerSequence } from './tokenizer-json.ts';

export interface PreTokenizer {
  readonly step: ByteLevelStep | PreTokenizerSequence;
  /** A word that is a token is not merged from its characters. */
  readonly ignoreMerges: boolean;
  /** A text begins with BOS where the file does not say. */
  readonly addBos: boolean;
}

interface Family {
  readonly names: readonly string[];
  /** null: the pattern of GPT-2 that the step ByteLevel has itself. */
  readonly patterns: readonly string[] | null;
  readonly ignoreMerges?: boolean;
  readonly addBos?: boolean;
}

const CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const SIGNS = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*';
const LETTERS = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const PUNCTUATION_BEFORE_WORD = '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+';
const CJK_OF_DEEPSEEK = '[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+';
const LATIN_OF_DEEPSEEK =
  '\\s?[A-Za-z\u00B5À-ÖØ-öø-ƺƼ-ƿ\u01C4-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-\u03F5Ϸ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1F7Dᾀ-ᾴᾶ-ᾼ\u1FBEῂ-ῄῆ-ῌῐ-\u1FD3ῖ-\u1FDBῠ-Ῥῲ-ῴῶ-ῼ\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149ⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿ\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+';

const FAMILIES: readonly Family[] = [
  {
    names: ['default'],
    patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]'],
  },
  {
    names: [
      'gpt-2',
      'phi-2',
      'mpt',
      'olmo',
      'jais',
      'trillion',
      'exaone4',
      'gigachat',
      'a.x-4.0',
      'mellum',
      'granite-docling',
    ],
    patterns: null,
  },
  {
    names: ['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'],
    patterns: ['\\p{N}', GPT2],
  },
  {
    names: ['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2'],
    patterns: [`${CONTRACTIONS}|${LETTERS}|\\p{N}{1,3}|${SIGNS}|${SPACES}`],
    ignoreMerges: true,
    addBos: true,
  },
  {
    names: ['dbrx', 'smaug-bpe', 'chatglm-bpe'],
    patterns: [`${CONTRACTIONS}|${LETTERS}|\\p{N}{1,3}|${SIGNS}|${SPACES}`],
  },
  {
    names: ['glm4', 'glm5'],
    patterns: [`${CONTRACTIONS}|${LETTERS}|\\p{N}{1,3}|${SIGNS}|${SPACES}`],
    ignoreMerges: true,
  },
  {
    names: ['qwen2', 'deepseek-r1-qwen', 'kormo', 'f2llmv2', 'megrez', 'stablelm2', 'hunyuan', 'solar-open', 'grok-2'],
    patterns: [`${CONTRACTIONS}|${LETTERS}|\\p{N}|${SIGNS}|${SPACES}`],
  },
  {
    names: ['qwen35'],
    patterns: [
      `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
    ],
  },
  {
    names: ['deepseek-llm'],
    patterns: [
      '[\\r\\n]',
      LATIN_OF_DEEPSEEK,
      '\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+',
      '\\s+$',
      CJK_OF_DEEPSEEK,
      '\\p{N}+',
    ],
  },
  {
    names: ['deepseek-coder'],
    patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', CJK_OF_DEEPSEEK, '\\p{N}'],
  },
  {
    names: ['deepseek-v3', 'hunyuan-dense', 'joyai-llm'],
    patterns: [
      '\\p{N}{1,3}',
      '[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+',
      `${PUNCTUATION_BEFORE_WORD}|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
    ],
  },
  {
    names: ['falcon'],
    patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', GPT2, '[0-9][0-9][0-9]'],
  },
  {
    names: ['tekken'],
    patterns: [
      `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`,
    ],
    ignoreMerges: true,
    addBos: true,
  },
  {
    names: ['gpt-4o', 'llama4', 'kanana2', 'minimax-m2'],
    patterns: [
      `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${CONTRACTIONS}?|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${CONTRACTIONS}?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`,
    ],
  },
  {
    names: ['bailingmoe', 'bailingmoe2', 'llada-moe'],
    patterns: [`'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|${LETTERS}|\\p{N}|${SIGNS}|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`],
  },
  {
    names: ['seed-coder'],
    patterns: [`${CONTRACTIONS}|${LETTERS}|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${SPACES}`],
  },
];

/** The names that `preTokenizer` knows. */
export const PRE_TOKENIZERS: readonly string[] = FAMILIES.flatMap(({ names }) => names).sort();

/** Throws FormatError that names `path` and all known names for any other: a guess would give ids that the model was not trained on. */
export function preTokenizer(name: string, path: string): PreTokenizer {
  const family = FAMILIES.find(({ names }) => names.includes(name));
  if (family === undefined) {
    const near = nearestName(name, PRE_TOKENIZERS);
    throw new FormatError(
      'tokenizer',
      `${path}: tokenizer.ggml.pre "${name}" is not supported: expected one of ${PRE_TOKENIZERS.join(', ')}.` +
        `${near ? ` Is it "${near}"?` : ''} Use the model with its tokenizer.json.`,
      path,
    );
  }
  const { patterns, ignoreMerges = false, addBos = false } = family;
  return { step: stepOf(patterns), ignoreMerges, addBos };
}

function stepOf(patterns: readonly string[] | null): PreTokenizer['step'] {
  if (patterns === null) return byteLevel(true);
  const splits = patterns.map((Regex) => {
    return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false } as const;
  });
  return { type: 'Sequence', pretokenizers: [...splits, byteLevel(false)] };
}

/** Steps of a tokenizer.json as others write them. */
interface ForeignStep {
  type?: string;
  use_regex?: boolean;
  add_prefix_space?: boolean;
  individual_digits?: boolean;
  pattern?: { Regex?: string };
  behavior?: string;
  invert?: boolean;
  pretokenizers?: ForeignStep[];
}

/** How published files write CONTRACTIONS. */
const PUBLISHED_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

/**
 * The name under which `preTokenizer` gives what these steps of a tokenizer.json do, where words that are tokens are merged or not; null where it has
 * none.
 */
export function nameOfPreTokenizer(step: object | null | undefined, ignoreMerges: boolean): string | null {
  const patterns = patternsOf(step as ForeignStep | null | undefined);
  if (patterns === null) return null;
  const family = FAMILIES.find(
    (one) =>
      (one.ignoreMerges ?? false) === ignoreMerges && (one.patterns ?? [GPT2]).join('\n') === patterns.join('\n'),
  );
  return family?.names[0] ?? null;
}

/** The patterns that cut a text one after the other; null for steps that do something else, or do not end in bytes as characters. */
function patternsOf(step: ForeignStep | null | undefined): string[] | null {
  const steps = step?.type === 'Sequence' ? (step.pretokenizers ?? []) : step ? [step] : [];
  const patterns: string[] = [];
  for (const [i, one] of steps.entries()) {
    const isLast = i === steps.length - 1;
    if (one.type === 'Digits' && one.individual_digits && !isLast) patterns.push('\\p{N}');
    else if (one.type === 'Split' && one.behavior === 'Isolated' && !one.invert && one.pattern?.Regex && !isLast) {
      patterns.push(one.pattern.Regex.replace(PUBLISHED_CONTRACTIONS, CONTRACTIONS));
    } else if (one.type !== 'ByteLevel' || one.add_prefix_space || !isLast) return null;
    else if (one.use_regex ?? true) patterns.push(GPT2);
  }
  return steps.length > 0 ? patterns : null;
}

/** Bytes as characters; with `use_regex` GPT-2's words too. */
export function byteLevel(use_regex: boolean): ByteLevelStep {
  return { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex };
}
