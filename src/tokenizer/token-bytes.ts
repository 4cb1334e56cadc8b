/**
 * tokenBytesOf: the bytes that each token of a tokenizer.json stands for in the middle of a text.
 *
 * What a token adds to a text is known by its decoder: characters of the byte-level alphabet, or SentencePiece's text with U+2581 for spaces and
 * `<0x41>` for bytes. A token may be a part of a character, so that its bytes need not be text. Special tokens stand for nothing.
 */

import { UsageError } from '../util/errors.ts';
import { tokenBytes as byteLevelBytes } from './byte-level.ts';

/** The parts of a tokenizer.json that say it. */
export interface TokenTable {
  model: { vocab: Record<string, number> | [string, number][]; byte_fallback?: boolean };
  added_tokens?: { content: string; id: number; special?: boolean }[];
  decoder?: unknown;
}

interface DecoderJson {
  type?: string;
  decoders?: DecoderJson[];
  pattern?: { String?: string; Regex?: string };
  content?: string;
  replacement?: string;
}

type Spell = (token: string) => Uint8Array;

const encoder = new TextEncoder();

/** By id; null for special tokens and ids without a token. Throws UsageError for a decoder that is none of the two kinds. */
export function tokenBytesOf({ model, added_tokens = [], decoder }: TokenTable): (Uint8Array | null)[] {
  const { spell, spellAdded } = speller(decoder as DecoderJson | null | undefined, model.byte_fallback ?? false);
  const bytes: (Uint8Array | null)[] = [];
  const entries = Array.isArray(model.vocab)
    ? model.vocab.map(([token], id): [string, number] => [token, id])
    : Object.entries(model.vocab);
  for (const [token, id] of entries) bytes[id] = spell(token);
  for (const { content, id, special } of added_tokens) bytes[id] = special ? null : spellAdded(content);
  return Array.from(bytes, (one) => one ?? null);
}

/** Of the vocabulary, and of tokens that were added to it: byte-level ones are not in its alphabet, those of SentencePiece pass all steps too. */
interface Speller {
  readonly spell: Spell;
  readonly spellAdded: Spell;
}

function speller(decoder: DecoderJson | null | undefined, hasByteTokens: boolean): Speller {
  const steps = decoder?.type === 'Sequence' ? (decoder.decoders ?? []) : decoder ? [decoder] : [];
  if (steps.some(({ type }) => type === 'ByteLevel')) {
    const spellAdded = (token: string) => encoder.encode(token);
    return { spell: (token) => byteLevelBytes(token) ?? spellAdded(token), spellAdded };
  }
  const unknown = steps.find((step) => !isTextStep(step));
  if (unknown !== undefined) {
    throw new UsageError(
      'tokenizer',
      `the bytes of its tokens are not known: expected a decoder of byte-level BPE or SentencePiece, got the step "${unknown.type}".`,
    );
  }
  const spell = (token: string) => {
    const byte = hasByteTokens ? /^<0x([0-9A-F]{2})>$/.exec(token) : null;
    return byte ? Uint8Array.of(Number.parseInt(byte[1], 16)) : encoder.encode(replaced(token, steps));
  };
  return { spell, spellAdded: spell };
}

/** `Strip` takes the space before the first word of a whole text away and changes nothing in the middle of one. */
function isTextStep({ type, pattern }: DecoderJson): boolean {
  if (type === 'Replace') return pattern?.String !== undefined;
  return type === 'ByteFallback' || type === 'Fuse' || type === 'Strip' || type === 'Metaspace';
}

function replaced(token: string, steps: readonly DecoderJson[]): string {
  let text = token;
  for (const { type, pattern, content = '', replacement = '\u2581' } of steps) {
    if (type === 'Replace') text = text.replaceAll(pattern!.String!, content);
    if (type === 'Metaspace') text = text.replaceAll(replacement, ' ');
  }
  return text;
}
