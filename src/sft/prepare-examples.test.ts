import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ChatTemplate } from '../chat/chat-template.ts';
import { PLAIN_TEMPLATE } from '../chat/plain-template.ts';
import { Tokenizer } from '../tokenizer/tokenizer.ts';
import { trainBpe } from '../tokenizer/train-bpe.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import { prepareExamples } from './prepare-examples.ts';

const directory = mkdtempSync(join(tmpdir(), 'qsparse-sft-'));
afterAll(() => rmSync(directory, { recursive: true }));

const tokenizer = Tokenizer.fromJson(trainBpe(['User: a\nAssistant: b\n'], { vocabSize: 257 }));
const tokens = { bos_token: null, eos_token: null };
const refusing = `{% for m in messages %}{% if m.content == 'bad' %}{{ raise_exception('no bad words') }}{% endif %}{% endfor %}${PLAIN_TEMPLATE}`;
const form = { template: new ChatTemplate(refusing, tokens, 'test'), stop: [], writesBos: true };

function prepare(lines: readonly string[], { skipBad = false, seqLen = 100 } = {}) {
  const path = join(directory, 'data.jsonl');
  writeFileSync(path, lines.join('\n'));
  const problems: string[] = [];
  const onRecord = (_bytes: number, problem: string | null) => {
    if (problem !== null) problems.push(problem);
  };
  const result = prepareExamples({ paths: [path], form, tokenizer, seqLen, skipBad, onRecord });
  return { ...result, problems, path };
}

const line = (prompt: string, completion: string) => JSON.stringify({ prompt, completion });

describe('prepareExamples', () => {
  it('names file and line, of the template too', () => {
    expect(() => prepare([line('a', 'b'), '', '{'])).toThrow(FormatError);
    expect(() => prepare([line('a', 'b'), '', '{'])).toThrow(`${join(directory, 'data.jsonl')} line 3: `);
    expect(() => prepare([line('a', 'b'), line('bad', 'b')])).toThrow(
      /data\.jsonl line 2: .* refuses the messages: no bad words/,
    );
  });

  it('skips and counts what is bad only where it is asked to', () => {
    const result = prepare(['{', line('a', 'b'), line('bad', 'b'), line('a', ' '), line('c', 'd')], { skipBad: true });
    expect([result.examples.count, result.skipped]).toEqual([2, 3]);
    expect(result.problems.map((problem) => /line \d/.exec(problem)![0])).toEqual(['line 1', 'line 3', 'line 4']);
  });

  it('measures lengths, and counts what is cut and what is dropped', () => {
    // One id a byte: "User: a\nAssistant: b\n" and the end of text are 22.
    const result = prepare([line('a', 'b'), line('a', 'b'.repeat(9)), line('a'.repeat(30), 'b')], { seqLen: 25 });
    expect(result.lengths).toEqual({ mean: (22 + 30 + 51) / 3, median: 30, p95: 51, longest: 51 });
    expect([result.examples.count, result.cut, result.dropped, result.skipped]).toEqual([2, 1, 1, 0]);
  });

  it('says why nothing is left', () => {
    expect(() => prepare([])).toThrow(UsageError);
    expect(() => prepare(['{'], { skipBad: true })).toThrow(/no conversation is left .* 1 were skipped, the first: /);
    expect(() => prepare([line('a', 'b')], { seqLen: 5 })).toThrow('1 have no answer inside of 5 tokens (--seq-len).');
  });
});
