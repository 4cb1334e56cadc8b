/**
 * Prompts, token boundaries and metrics against lm-evaluation-harness 0.4.13 on real data, without a model: `../shared/golden/lm-eval`. Every
 * prompt by its hash, the ids of the first two documents of each task, the metrics of every item from the log-likelihoods that are given.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findData } from '../../src/eval/data/find-data.ts';
import { hashTexts } from '../../src/eval/data/hash-texts.ts';
import { readRows } from '../../src/eval/data/read-rows.ts';
import { loadTask } from '../../src/eval/data/task-files.ts';
import { choiceMetric, meanOf } from '../../src/eval/metrics.ts';
import { type EvalTokenizer, encodeRequest } from '../../src/eval/score-request.ts';
import type { ChoiceMetric, ChoiceTask } from '../../src/eval/task.ts';
import { type ChoiceItem, itemsOf } from '../../src/eval/task-items.ts';
import { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { unzip } from '../support/unzip.ts';
import { missing, readJson, sharedPath } from './golden-file.ts';

interface GoldenItem {
  gold?: number;
  labels?: number[];
  ll: number[];
  contextTokens: number | number[];
  tokens: number[];
  sha256: string;
  acc: number;
  acc_norm?: number;
}

const GOLDEN = sharedPath('golden', 'lm-eval');
const DATA = sharedPath('data', 'eval');
const TOKENIZER = sharedPath('data', 'tokenizers', 'smollm2-tokenizer.json');
const BLIMP = 'blimp_';
const TASKS = [
  ...['arc_easy', 'hellaswag', 'winogrande', 'boolq', 'openbookqa', 'copa', 'mmlu', 'truthfulqa_mc1', 'truthfulqa_mc2'],
  ...['anaphor_gender_agreement', 'determiner_noun_agreement_1', 'irregular_plural_subject_verb_agreement_1'].map(
    (kind) => BLIMP + kind,
  ),
  ...['npi_present_1', 'wh_questions_subject_gap'].map((kind) => BLIMP + kind),
];

const reason = [GOLDEN, DATA, TOKENIZER].map(missing).find((one) => one !== null) ?? null;

describe.skipIf(reason !== null)(`lm-evaluation-harness${reason ? ` (${reason})` : ''}`, () => {
  let encoder: EvalTokenizer;
  let blimp: string;
  beforeAll(() => {
    const tokenizer = Tokenizer.fromJson(readJson(TOKENIZER), TOKENIZER);
    encoder = {
      encode: (text) => tokenizer.encode(text),
      decodeStream: () => tokenizer.decodeStream(),
      prefixId: 1,
      bosId: null,
      endIds: [2],
    };
    blimp = mkdtempSync(join(tmpdir(), 'qsparse-blimp-'));
    mkdirSync(join(blimp, 'data'));
    const archive = unzip(join(DATA, 'BLiMP.zip'));
    for (const task of TASKS.filter((name) => name.startsWith(BLIMP))) {
      const file = `data/${task.slice(BLIMP.length)}.jsonl`;
      writeFileSync(join(blimp, file), archive.get(file)!());
    }
  });
  afterAll(() => rmSync(blimp, { recursive: true, force: true }));

  async function itemsFor(
    name: string,
    golden: readonly GoldenItem[],
  ): Promise<{ task: ChoiceTask; items: ChoiceItem[] }> {
    const kind = name.startsWith(BLIMP) ? name.slice(BLIMP.length) : null;
    const task = loadTask(kind === null ? name : 'blimp') as ChoiceTask;
    const files = findData(kind === null ? DATA : blimp, task.files, task.name);
    const rows = (await Promise.all(files.map((file) => readRows(file, task.linesPerRow)))).flat();
    const limit = name === 'mmlu' ? 5 : golden.length; // of each subject
    const items = itemsOf(task, rows, { limit, shots: 0, shotRows: [] });
    return { task, items: kind === null ? items : items.filter(({ group }) => group === kind) };
  }

  it.each(TASKS)('%s: every prompt, its tokens and its metrics', async (name) => {
    const { items: golden } = readJson<{ items: GoldenItem[] }>(join(GOLDEN, 'items', `${name}.json`));
    const { task, items } = await itemsFor(name, golden);
    expect(items.length).toBe(golden.length);
    expect(items.map(({ pairs }) => hashTexts(pairs.flat()))).toEqual(golden.map(({ sha256 }) => sha256));
    expect(items.map(({ labels }) => labels)).toEqual(golden.map(labelsOf));
    const metrics = task.metrics.map(
      (metric) => [metric, metric === 'mc2' ? 'acc' : metric] as [ChoiceMetric, 'acc' | 'acc_norm'],
    );
    for (const [metric, key] of metrics) {
      const values = items.map((item, i) => choiceMetric(metric, item, golden[i].ll));
      for (const [i, value] of values.entries()) expect(value).toBeCloseTo(golden[i][key]!, metric === 'mc2' ? 5 : 9);
      const { results } = readJson<{ results: Record<string, { acc: number; acc_norm: number }> }>(
        join(GOLDEN, 'results.json'),
      );
      expect(meanOf(values).value).toBeCloseTo(results[name][key], 6);
    }
    // Tokenizing is the slow part: the first documents of each task, and the lengths of some more.
    const { [name]: examples } = readJson<Record<string, { contextIds: number[]; continuationIds: number[] }[][]>>(
      join(GOLDEN, 'examples.json'),
    );
    for (const [i, { pairs }] of items.slice(0, 20).entries()) {
      const requests = pairs.map(([context, continuation]) => encodeRequest(encoder, context, continuation));
      if (i < examples.length) {
        const wanted = examples[i].map(({ contextIds, continuationIds }) => ({
          context: contextIds,
          continuation: continuationIds,
        }));
        expect(requests).toEqual(wanted);
      }
      expect(requests.map(({ continuation }) => continuation.length)).toEqual(golden[i].tokens);
      const contexts = requests.map(({ context }) => context.length);
      expect(contexts).toEqual(
        [golden[i].contextTokens].flat().length > 1
          ? golden[i].contextTokens
          : contexts.map(() => golden[i].contextTokens),
      );
    }
  });
});

function labelsOf({ gold, labels, ll }: GoldenItem): number[] {
  return labels ?? ll.map((_, i) => (i === gold ? 1 : 0));
}
