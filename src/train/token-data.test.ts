import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Tokenizer } from '../tokenizer/tokenizer.ts';
import { trainBpe } from '../tokenizer/train-bpe.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import type { PrepareOptions } from './prepare-token-data.ts';
import { prepareTokenData } from './prepare-token-data.ts';
import { openTextSource } from './text-source.ts';
import { permute, TokenData } from './token-data.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-data-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
});

const texts = Array.from(
  { length: 12 },
  (_, i) => `Document ${i}.\n\n${`The ${i}th line of some text.\n`.repeat(3 + i)}`,
);
const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabSize: 290 }));

function prepare(documents: readonly string[], options: Partial<PrepareOptions> = {}) {
  const path = join(directory, 'text.jsonl');
  writeFileSync(path, documents.map((text) => JSON.stringify({ text })).join('\n'));
  const source = openTextSource([path]);
  const target = join(directory, 'data');
  return prepareTokenData({ source, tokenizer, directory: target, validationShare: 0.2, seed: 5, ...options });
}

/** The ids of a file, read without the class under test. */
function idsOf(part: 'train' | 'validation'): number[] {
  const bytes = readFileSync(join(directory, 'data', `${part}.bin`));
  return Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i));
}

/** The text of each document, and '' behind the last end of text. */
function decoded(ids: number[]): string[] {
  const documents: number[][] = [[]];
  for (const id of ids) {
    if (id === tokenizer.endOfText) documents.push([]);
    else documents.at(-1)!.push(id);
  }
  return documents.map((document) => tokenizer.decode(document));
}

describe('prepareTokenData', () => {
  it('puts each document, whole and once, on one side, followed by the end of text', async () => {
    const info = await prepare(texts);
    const train = idsOf('train');
    const validation = idsOf('validation');
    const [trainTexts, validationTexts] = [decoded(train), decoded(validation)];
    expect(trainTexts.pop()).toBe('');
    expect(validationTexts.pop()).toBe('');
    expect([...trainTexts, ...validationTexts].sort()).toEqual([...texts].sort());
    expect(validationTexts.length).toBeGreaterThan(0);
    const bytes = (documents: string[]) => Buffer.byteLength(documents.join(''));
    expect(info.train).toEqual({ documents: trainTexts.length, tokens: train.length, bytes: bytes(trainTexts) });
    expect(info.validation).toEqual({
      documents: validationTexts.length,
      tokens: validation.length,
      bytes: bytes(validationTexts),
    });
    expect(info).toMatchObject({ split: 'documents', idBytes: 2, vocabSize: 290, reused: false });
  });

  it('uses the files again for the same text, tokenizer and split', async () => {
    const first = await prepare(texts);
    writeFileSync(join(directory, 'data/train.bin'), Buffer.alloc(first.train.tokens * 2));
    const again = await prepare(texts);
    expect(again).toEqual({ ...first, reused: true });
    expect(idsOf('train').every((id) => id === 0)).toBe(true);
  });

  it('refuses other text, another tokenizer and another split, and leaves the files alone', async () => {
    await prepare(texts);
    const before = idsOf('train');
    const other = Tokenizer.fromJson(trainBpe(texts, { vocabSize: 280 }));
    await expect(prepare([...texts, 'one more'])).rejects.toThrow(FormatError);
    await expect(prepare([...texts, 'one more'])).rejects.toThrow(/the text is not the one that .* was made of/);
    await expect(prepare([texts.join('')])).rejects.toThrow(/the text is not/);
    await expect(prepare(texts, { tokenizer: other })).rejects.toThrow(/the tokenizer is not/);
    await expect(prepare(texts, { seed: 6 })).rejects.toThrow(/the seed is not .*: expected 5, got 6\./);
    await expect(prepare(texts, { validationShare: 0.3 })).rejects.toThrow(/validation share/);
    expect(idsOf('train')).toEqual(before);
  });

  it('starts again where a preparation was cut off before its end', async () => {
    const controller = new AbortController();
    const onProgress = ({ phase }: { phase: string }) => phase === 'tokenise' && controller.abort();
    await expect(prepare(texts, { signal: controller.signal, onProgress })).rejects.toThrow(/abort/i);
    expect((await prepare(texts)).reused).toBe(false);
    expect(decoded(idsOf('train')).length + decoded(idsOf('validation')).length - 2).toBe(texts.length);
  });

  it('cuts a single document near its end, behind a paragraph, line or word', async () => {
    const paragraphs = Array.from({ length: 40 }, (_, i) => `Paragraph ${i} is here.\nIt has two lines.\n\n`).join('');
    const lines = Array.from({ length: 40 }, (_, i) => `Line ${i} of naïve text\n`).join('');
    const words = 'some naïve words '.repeat(60);
    for (const [text, end] of [
      [paragraphs, '\n\n'],
      [lines, '\n'],
      [words, ' '],
      ['🙂'.repeat(200), '🙂'],
    ]) {
      rmSync(join(directory, 'data'), { recursive: true, force: true });
      const info = await prepare([text], { validationShare: 0.1, source: openSmall(text) });
      const [train, validation] = [decoded(idsOf('train'))[0], decoded(idsOf('validation'))[0]];
      expect(train + validation).toBe(text);
      expect(train.endsWith(end)).toBe(true);
      expect(validation.length / text.length).toBeGreaterThan(0.04);
      expect(validation.length / text.length).toBeLessThan(0.11);
      expect(info.split).toBe('inside');
      expect([info.train.bytes, info.validation.bytes]).toEqual(
        [train, validation].map((part) => Buffer.byteLength(part)),
      );
    }
  });

  /** One document in several chunks. */
  function openSmall(text: string) {
    const path = join(directory, 'single.txt');
    writeFileSync(path, text);
    return openTextSource([path], { chunkBytes: 300 });
  }

  it('reports progress of both passes up to the whole text', async () => {
    const seen = { measure: 0, tokenise: 0 };
    await prepare(texts, {
      onProgress: ({ phase, doneBytes }) => {
        expect(doneBytes).toBeGreaterThan(seen[phase]);
        seen[phase] = doneBytes;
      },
    });
    const bytes = Buffer.byteLength(texts.join(''));
    expect(seen).toEqual({ measure: bytes, tokenise: bytes });
  });

  it('refuses text without characters and a tokenizer without end of text', async () => {
    await expect(prepare(['', ''])).rejects.toThrow(UsageError);
    const other = Tokenizer.fromJson(trainBpe(['abc'], { vocabSize: 257, specialTokens: ['<s>'] }));
    await expect(prepare(texts, { tokenizer: other })).rejects.toThrow(/no token that ends a text/);
  });
});

describe('TokenData', () => {
  async function open(documents = texts): Promise<TokenData> {
    await prepare(documents);
    return new TokenData(join(directory, 'data'));
  }

  function batch(data: TokenData, step: number, batchSize: number, seqLen: number) {
    const ids = new Int32Array(batchSize * seqLen);
    const targets = new Int32Array(batchSize * seqLen);
    data.batch(step, batchSize, seqLen, ids, targets);
    return { ids: [...ids], targets: [...targets] };
  }

  it('visits every window of an epoch once, each one a piece of the ring of training tokens', async () => {
    const data = await open();
    const train = idsOf('train');
    expect([data.trainTokens, data.trainBytes]).toEqual([train.length, data.info.train.bytes]);
    const ring = [...train, ...train].join(' ').concat(' ');
    for (const seqLen of [7, 16]) {
      const windows = Math.floor(train.length / seqLen);
      const counts = new Map<number, number>();
      for (let step = 0; step < windows; step++) {
        const { ids, targets } = batch(data, step, 1, seqLen);
        expect(targets.slice(0, -1)).toEqual(ids.slice(1));
        expect(ring).toContain(` ${[...ids, targets.at(-1)].join(' ')} `);
        for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      // Every token was seen once, but for the rest that fills no window.
      for (const id of train) counts.set(id, (counts.get(id) ?? 0) - 1);
      const unseen = [...counts.values()].map((count) => -count);
      expect(Math.min(...unseen)).toBeGreaterThanOrEqual(0);
      expect(unseen.reduce((sum, count) => sum + count, 0)).toBe(train.length % seqLen);
    }
  });

  it('is a function of the seed, the step and the row', async () => {
    const data = await open();
    const steps = [3, 0, 3, 40].map((step) => batch(data, step, 4, 8));
    expect(steps[0]).toEqual(steps[2]);
    expect(steps[0]).not.toEqual(steps[1]);
    expect(batch(new TokenData(join(directory, 'data')), 40, 4, 8)).toEqual(steps[3]);
    expect(batch(new TokenData(join(directory, 'data'), 99), 40, 4, 8)).not.toEqual(steps[3]);
    const rows = [0, 1, 2, 3].flatMap((row) => batch(data, 4 * 3 + row, 1, 8).ids);
    expect(rows).toEqual(steps[0].ids);
  });

  it('reads the same from the disk as from memory, with ids of two and of four bytes', async () => {
    const config = structuredClone(tokenizer.json) as ReturnType<typeof trainBpe>;
    config.added_tokens.push({ ...config.added_tokens[0], id: 70_000, content: '<|large|>' });
    const large = Tokenizer.fromJson(config);
    const withLarge = texts.map((text) => `${text}<|large|>`);
    for (const [own, documents] of [
      [tokenizer, texts],
      [large, withLarge],
    ] as const) {
      rmSync(join(directory, 'data'), { recursive: true, force: true });
      const info = await prepare(documents, { tokenizer: own });
      expect(info.idBytes).toBe(own === large ? 4 : 2);
      const memory = new TokenData(join(directory, 'data'));
      const disk = new TokenData(join(directory, 'data'), undefined, 0);
      for (let step = 0; step < 10; step++) {
        const read = batch(memory, step, 3, 50);
        expect(batch(disk, step, 3, 50)).toEqual(read);
        if (own === large) expect(read.ids).toContain(70_000);
      }
      expect([...disk.validationBatches(2, 9)]).toEqual([...memory.validationBatches(2, 9)]);
      disk.close();
      disk.close();
    }
  });

  it('orders the epochs differently', async () => {
    const data = await open();
    const windows = Math.floor(data.trainTokens / 8);
    const epoch = (number: number) => batch(data, number, windows, 8).ids;
    expect(epoch(0)).not.toEqual(epoch(1));
    expect(epoch(1)).not.toEqual(epoch(2));
  });

  it('predicts every validation token but the first once, in order', async () => {
    const data = await open();
    const validation = idsOf('validation');
    expect([data.validationTokens, data.validationBytes]).toEqual([validation.length, data.info.validation.bytes]);
    for (const [batchSize, seqLen] of [
      [1, 5],
      [4, 16],
      [3, 10_000],
    ]) {
      const batches = [...data.validationBatches(batchSize, seqLen)];
      for (const { ids, targets } of batches)
        expect([ids.length, targets.length]).toEqual(new Array(2).fill(batchSize * seqLen));
      const pairs = batches.flatMap(({ ids, targets }) => [...targets].map((target, i) => [ids[i], target]));
      const used = pairs.filter(([, target]) => target !== -1);
      expect(used).toEqual(validation.slice(1).map((target, i) => [validation[i], target]));
    }
  });

  it('spreads a limited validation over the text', async () => {
    const data = await open();
    const validation = idsOf('validation');
    const [{ ids, targets }, ...others] = [...data.validationBatches(4, 8, 32)];
    expect(others).toEqual([]);
    expect([...targets]).not.toContain(-1);
    expect([...ids.slice(0, 8)]).toEqual(validation.slice(0, 8));
    const last = 8 * Math.floor((3 * Math.ceil((validation.length - 1) / 8)) / 4);
    expect([...ids.slice(24)]).toEqual(validation.slice(last, last + 8));
    expect(last).toBeGreaterThan(validation.length / 2);
  });

  it('says how many tokens are needed where the text is too short', async () => {
    const data = await open();
    const needed = new RegExp(`expected at least 5001 tokens, found ${data.trainTokens}`);
    expect(() => batch(data, 0, 1, 5000)).toThrow(UsageError);
    expect(() => batch(data, 0, 1, 5000)).toThrow(needed);
    expect(() => batch(data, 0, 1, data.trainTokens)).toThrow(UsageError);
    expect(batch(data, 0, 1, data.trainTokens - 1).ids.length).toBe(data.trainTokens - 1);
  });

  it('refuses files that were damaged', async () => {
    await open();
    const target = join(directory, 'data');
    const train = readFileSync(join(target, 'train.bin'));
    writeFileSync(join(target, 'train.bin'), Buffer.from(train).fill(0xff));
    expect(() => batch(new TokenData(target), 0, 1, 8)).toThrow(/at byte \d+: expected ids below 290, found 65535/);
    truncateSync(join(target, 'train.bin'), 10);
    expect(() => new TokenData(target)).toThrow(/train.bin: expected \d+ bytes, found 10\./);
    writeFileSync(join(target, 'data.json'), '{"formatVersion":9}');
    expect(() => new TokenData(target)).toThrow(/expected formatVersion 1, found 9/);
    writeFileSync(join(target, 'data.json'), '{"formatVersion":1}');
    expect(() => new TokenData(target)).toThrow(FormatError);
    rmSync(target, { recursive: true });
    expect(() => new TokenData(target)).toThrow(FormatError);
  });
});

describe('permute', () => {
  it('is a permutation for every size and key', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), (size, key) => {
        const images = Array.from({ length: size }, (_, i) => permute(i, size, key));
        expect(images.toSorted((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
      }),
    );
  });

  it('mixes: neighbours do not stay neighbours, and the largest sizes work', () => {
    const size = 10_000;
    let neighbours = 0;
    for (let i = 1; i < size; i++) {
      if (Math.abs(permute(i, size, 1) - permute(i - 1, size, 1)) === 1) neighbours++;
    }
    expect(neighbours).toBeLessThan(20);
    const large = [0, 1, 2 ** 31, 2 ** 32 - 1].map((value) => permute(value, 2 ** 32, 3));
    expect(new Set(large).size).toBe(4);
    for (const value of large) expect(value >= 0 && value < 2 ** 32).toBe(true);
  });
});
