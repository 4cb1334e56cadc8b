/**
 * The byte-level alphabet and the split into words that GPT-2 introduced and tokenizer.json calls "ByteLevel".
 *
 * Every byte has one printable character of its own, so that a vocabulary of strings can spell any bytes.
 * Source: openai/gpt-2, src/encoder.py.
 */

/**
 * Contractions, then letters, digits or other signs with at most one space before them, then white space; the last white space
 * before a word stays with the word. `\s` is written out as Unicode's White_Space, as the Rust library has it: JavaScript's would
 * take U+FEFF in and leave U+0085 out.
 */
export const WORD_PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The character of each byte: itself where it is printable in Latin-1, else the next one from U+0100 on. */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

/** The inverse of BYTE_CHARACTERS. */
const CHARACTER_BYTES: ReadonlyMap<string, number> = new Map(BYTE_CHARACTERS.map((text, byte) => [text, byte]));

function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** The bytes that a token spells; undefined where a character stands for no byte. */
export function tokenBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = CHARACTER_BYTES.get(token[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
