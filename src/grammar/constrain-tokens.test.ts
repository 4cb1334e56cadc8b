import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sharedPath } from '../../test/golden/golden-file.ts';
import { Tokenizer } from '../tokenizer/tokenizer.ts';
import { QSparseError, UsageError } from '../util/errors.ts';
import { constrainTokens } from './constrain-tokens.ts';
import { GrammarVocabulary } from './grammar-vocabulary.ts';
import { compileJsonSchema, type JsonGrammar } from './json-grammar.ts';

const encoder = new TextEncoder();
const anyObject = compileJsonSchema({ type: 'object' });
const idsOf = (words: Uint32Array, size: number) =>
  Array.from({ length: size }, (_, id) => id).filter((id) => (words[id >>> 5] >>> (id & 31)) & 1);

/** A token of each byte, then these; the last id is that of the end, which has no bytes. */
function vocabularyOf(...texts: string[]): {
  vocabulary: GrammarVocabulary;
  end: number;
  idOf: (text: string) => number;
} {
  const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const tokens = [...bytes, ...texts.map((text) => encoder.encode(text)), null];
  const idOf = (text: string) => (text.length === 1 ? text.charCodeAt(0) : 256 + texts.indexOf(text));
  return { vocabulary: new GrammarVocabulary(tokens), end: tokens.length - 1, idOf };
}

describe('constrainTokens', () => {
  it('allows tokens whose bytes can all follow, and the end where the document is complete', () => {
    const { vocabulary, end, idOf } = vocabularyOf('{"', '{}', '{}{', '":', '"}', ': "', '": 1', 'abc', '\n\n');
    const allowed = constrainTokens(anyObject, vocabulary, [end]);
    const at = (...texts: string[]) => idsOf(allowed(texts.map(idOf)), vocabulary.size);
    expect(at()).toEqual(['{', '{"', '{}'].map(idOf));
    // The signs of these tokens would be part of a key.
    expect(at('{')).toEqual(['\n', ' ', '"', '}', '":', '"}', '": 1'].map(idOf));
    expect(at('{"', 'abc')).toEqual(expect.arrayContaining(['"', '":', '": 1', 'abc'].map(idOf)));
    expect(at('{"', 'abc')).not.toContain(idOf('"}'));
    expect(at('{"', 'abc', '": 1')).toEqual([...'\n ,.0123456789Ee}'].map(idOf));
    expect(at('{"', 'abc', '": 1', '}')).toEqual([end]);
    expect(idsOf(allowed([...['{"', 'abc', '": 1', '}'].map(idOf), end]), vocabulary.size)).toEqual([end]);
  });

  it('follows tokens that end in the middle of a character', () => {
    const { vocabulary, end, idOf } = vocabularyOf('{"');
    const allowed = constrainTokens(anyObject, vocabulary, [end]);
    const smile = [...encoder.encode('🙂')];
    const following = (count: number) => idsOf(allowed([idOf('{"'), ...smile.slice(0, count)]), vocabulary.size);
    // F0 is followed by 90 .. BF, then come any two continuation bytes.
    expect(following(1)).toEqual(Array.from({ length: 0x30 }, (_, i) => 0x90 + i));
    expect(following(2)).toEqual(Array.from({ length: 0x40 }, (_, i) => 0x80 + i));
    expect(following(4)).toContain(idOf('"'));
  });

  it('never takes a token that ends texts for text, even where it has bytes', () => {
    const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
    const vocabulary = new GrammarVocabulary([...bytes, encoder.encode('<end>')]);
    const allowed = constrainTokens(anyObject, vocabulary, [256]);
    const inString = idsOf(allowed([...encoder.encode('{"')]), vocabulary.size);
    expect(inString).toContain(encoder.encode('<')[0]);
    expect(inString).not.toContain(256);
    expect(idsOf(allowed([...encoder.encode('{}')]), vocabulary.size)).toEqual([256]);
  });

  it('begins anew where the ids do not continue those before', () => {
    const { vocabulary, end } = vocabularyOf();
    const allowed = constrainTokens(anyObject, vocabulary, [end]);
    const all = [...encoder.encode('{"key": [1, {"a": null}]}')];
    const fresh = (length: number) => [...constrainTokens(anyObject, vocabulary, [end])(all.slice(0, length))];
    for (const length of [0, 5, 25, 3, 10, 9, 0, 24]) expect([...allowed(all.slice(0, length))]).toEqual(fresh(length));
    expect([...allowed([...encoder.encode('{"other')])]).toEqual([...allowed([...encoder.encode('{"k')])]);
  });

  it('forgets states where there are too many, and goes on', () => {
    const long = 'a'.repeat(50);
    const { vocabulary, end, idOf } = vocabularyOf(long);
    const counted = compileJsonSchema({ type: 'string', minLength: 20_000, maxLength: 20_050 });
    const [allowed, other] = [1, 2].map(() => constrainTokens(counted, vocabulary, [end]));
    const quote = idOf('"');
    const ids = [quote];
    other(ids);
    // Each character has a state of its own: twice as many as are remembered.
    for (let count = 0; count < 400; count++) {
      expect(idsOf(allowed(ids), vocabulary.size)).not.toContain(quote);
      ids.push(idOf(long));
    }
    expect(idsOf(allowed(ids), vocabulary.size)).toEqual(expect.arrayContaining([quote, idOf('a'), idOf(long)]));
    ids.push(idOf(long));
    for (const one of [allowed, other]) expect(idsOf(one(ids), vocabulary.size)).toEqual([quote]);
    for (const one of [allowed, other]) expect(idsOf(one([...ids, quote]), vocabulary.size)).toEqual([end]);
  });

  describe('hostile grammars', () => {
    const letters = [...'abcdefghijklmnopqrstuvwxyz'];
    const words = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)));
    /** For each position and letter a text that has another letter there: each beginning is a state of its own. */
    const differing = (positions: number, but: readonly string[]) => ({
      type: 'string',
      anyOf: Array.from({ length: positions }, (_, k) =>
        but.map((x) => ({ pattern: `^[a-z]{${k}}[${letters.join('').replace(x, '')}][a-z]*$` })),
      ).flat(),
    });
    /** The most that is remembered at a time, from here on. */
    function watched({ automaton }: JsonGrammar): () => number {
      const advance = automaton.advance.bind(automaton);
      let most = 0;
      automaton.advance = (state, byte) => {
        const next = advance(state, byte);
        most = Math.max(most, automaton.remembered);
        return next;
      };
      return () => most;
    }

    it('forgets states in the middle of a pass', () => {
      const { vocabulary, end, idOf } = vocabularyOf(...words);
      const grammar = compileJsonSchema(differing(3, letters.slice(0, 16)));
      const most = watched(grammar);
      const allowed = idsOf(constrainTokens(grammar, vocabulary, [end])([idOf('"')]), vocabulary.size);
      expect(allowed).toEqual([...letters, ...words].map(idOf));
      expect(grammar.automaton.life).toBeGreaterThan(0);
      expect(most()).toBeLessThan(110_000);
    });

    it('refuses what would take too long', () => {
      const { vocabulary, end, idOf } = vocabularyOf(...words);
      const grammar = compileJsonSchema(differing(8, letters));
      const most = watched(grammar);
      const allowed = constrainTokens(grammar, vocabulary, [end]);
      expect(() => allowed([idOf('"')])).toThrow(/leaves too much open at once/);
      expect(most()).toBeLessThan(110_000);
      // Where fewer ways are left it goes on.
      const after = constrainTokens(grammar, vocabularyOf().vocabulary, [256]);
      expect(idsOf(after([idOf('"'), idOf('a')]), 257)).toEqual([34, ...letters.map(idOf)]);
    });

    it('refuses alternatives that multiply', () => {
      const lists = (of: readonly unknown[]) => of.map((items, i) => ({ type: 'array', items, minItems: i }));
      const leaves = { anyOf: Array.from({ length: 500 }, (_, i) => ({ pattern: `^${i}` })) };
      const schema = {
        anyOf: lists(Array.from({ length: 500 }, () => ({ $ref: '#/$defs/leaves' }))),
        $defs: { leaves },
      };
      const grammar = compileJsonSchema(schema);
      expect(() => grammar.accepts('["0"]')).toThrow(UsageError);
      expect(() => grammar.accepts('["0"]')).toThrow(/leaves too much open at once/);
    });

    it('refuses stacks that grow without an end', () => {
      const $defs = Object.fromEntries(
        letters.map((x) => [x, { type: 'array', items: { $ref: `#/$defs/${x}` }, maxItems: 9 }]),
      );
      const grammar = compileJsonSchema({ anyOf: letters.map((x) => ({ $ref: `#/$defs/${x}` })), $defs });
      const { vocabulary, end } = vocabularyOf();
      const allowed = constrainTokens(grammar, vocabulary, [end]);
      const ids: number[] = [];
      const write = () => {
        while (ids.length < 30_000) {
          for (let i = 0; i < 500; i++) ids.push('['.charCodeAt(0));
          allowed(ids);
        }
      };
      expect(write).toThrow(/nested too deep/);
      expect(ids.length).toBeGreaterThan(2000);
    });
  });

  it('refuses ids that were not allowed, vocabularies that cannot spell, and a document without an end', () => {
    const { vocabulary, end } = vocabularyOf();
    const allowed = constrainTokens(anyObject, vocabulary, [end]);
    for (const ids of [[end], [...encoder.encode('[')], [...encoder.encode('{"'), end], [99_999]]) {
      expect(() => allowed(ids)).toThrow(QSparseError);
    }
    const letters = new GrammarVocabulary([encoder.encode('{'), encoder.encode('a'), null]);
    expect(() => constrainTokens(anyObject, letters, [2])([0])).toThrow(/cannot spell/);
    for (const ends of [[], [-1], [257]])
      expect(() => constrainTokens(anyObject, vocabulary, ends)).toThrow(UsageError);
  });

  const path = sharedPath('data', 'tokenizers', 'smollm2-tokenizer.json');
  it.skipIf(!existsSync(path))(`allows the tokens of a real vocabulary that a plain search allows (${path})`, () => {
    const tokenizer = Tokenizer.fromJson(JSON.parse(readFileSync(path, 'utf8')));
    const bytes = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenBytes(id));
    const vocabulary = new GrammarVocabulary(bytes);
    const allowed = constrainTokens(anyObject, vocabulary, [0]);
    const ids = tokenizer.encode('{"name": "Ada – naïve", "list": [1.5, {"x": "\\u00e9"}], "ok": true}');
    for (let length = 0; length <= ids.length; length++) {
      const before = ids.slice(0, length).map((id) => bytes[id]!);
      const { automaton } = anyObject;
      const state = before.reduce((at, one) => automaton.advanceAll(at, one)!, automaton.start);
      const expected = bytes.flatMap((one, id) => (one?.length && automaton.advanceAll(state, one) ? [id] : []));
      if (state.isComplete) expected.unshift(0);
      expect(idsOf(allowed(ids.slice(0, length)), vocabulary.size)).toEqual(expected);
    }
  });
});
