/**
 * `qsparse eval` of SmolLM2-135M-Instruct against lm-evaluation-harness and transformers: every log-likelihood, every accuracy, the perplexity, and the
 * damage of a sparsity that was never trained.
 *
 *   node bench/eval-against-golden.mjs MODEL [--shared ../shared] [--tasks arc_easy,copa] [--parts tasks,text] [--batch 16] [--threads 2] [--out FILE]
 *
 * MODEL is the GGUF file that the reference results are of, in any form that `qsparse eval` opens; SHARED holds them (golden/lm-eval,
 * golden/smollm2-135m) and the data. Items are matched by the hash of their prompts, so that a prompt that differs is an item that is
 * missing. --out keeps the records, and a second start goes on from them. Prints one JSON object, and ends with 1 where a log-likelihood is
 * off by more than 0.01 nats, an accuracy differs although no two choices are that close, or a mean is outside the stated bounds.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compareItems, compareMeans } from './lib/eval-golden.mjs';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
/** Most items of each task, or of each of its groups, as the reference has them. */
const LIMITS = {
  arc_easy: 200,
  hellaswag: 200,
  winogrande: 200,
  boolq: 200,
  openbookqa: 200,
  copa: 100,
  mmlu: 5,
  truthfulqa_mc1: 100,
  truthfulqa_mc2: 100,
  blimp: 50,
};
const KINDS = [
  'anaphor_gender_agreement',
  'determiner_noun_agreement_1',
  'irregular_plural_subject_verb_agreement_1',
  'npi_present_1',
  'wh_questions_subject_gap',
];
/** The id that lm-evaluation-harness puts in front of an empty context: the BOS of this tokenizer. */
const PREFIX_TOKEN = '1';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shared: { type: 'string', default: fileURLToPath(new URL('../../shared', import.meta.url)) },
    tasks: { type: 'string', default: Object.keys(LIMITS).join(',') },
    parts: { type: 'string', default: 'tasks,text' },
    batch: { type: 'string' },
    threads: { type: 'string' },
    out: { type: 'string' },
  },
});
const [model] = positionals;
if (model === undefined) {
  console.error(
    'usage: node bench/eval-against-golden.mjs MODEL [--shared DIR] [--tasks LIST] [--parts tasks,text] [--out FILE]',
  );
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'qsparse-golden-'));
try {
  const records = resolve(values.out ?? join(scratch, 'records.jsonl'));
  const parts = values.parts.split(',');
  const report = {
    model: basename(model),
    machine: { cpu: cpus()[0].model, cores: cpus().length, node: process.version },
    tasks: parts.includes('tasks') ? values.tasks.split(',').flatMap((task) => compareTask(task, records)) : [],
    text: parts.includes('text') ? [...compareDamage(records), compareLlamaPerplexity(records)] : [],
  };
  console.log(JSON.stringify(report, null, 1));
  process.exitCode = [...report.tasks, ...report.text].every(({ isRight }) => isRight) ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Runs the command, its progress visible; returns its one JSON object. */
function evaluate(args, records) {
  const common = ['--out', records, '--prefix-token', PREFIX_TOKEN, '--json'];
  const asked = ['batch', 'threads'].flatMap((name) => (values[name] === undefined ? [] : [`--${name}`, values[name]]));
  const { status, stdout } = spawnSync(process.execPath, [MAIN, 'eval', model, ...args, ...common, ...asked], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`qsparse eval ended with ${status}`);
  return JSON.parse(stdout);
}

/** One comparison for each golden file of the task. */
function compareTask(task, records) {
  const data = task === 'blimp' ? unpackedBlimp() : join(values.shared, 'data', 'eval');
  const { results } = evaluate(['--tasks', task, '--data', data, '--limit', String(LIMITS[task])], records);
  const saved = readFileSync(records, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line));
  const own = saved.filter((record) => record.task === task && record.sparsity === null);
  const names = task === 'blimp' ? KINDS.map((kind) => `blimp_${kind}`) : [task];
  return names.map((name) => {
    const { items } = JSON.parse(
      readFileSync(join(values.shared, 'golden', 'lm-eval', 'items', `${name}.json`), 'utf8'),
    );
    const { seconds, reused, tokens } = results[0];
    return { task: name, ...compareItems(items, own), seconds, reused, tokens };
  });
}

function unpackedBlimp() {
  const archive = join(values.shared, 'data', 'eval', 'BLiMP.zip');
  execFileSync('python3', ['-m', 'zipfile', '-e', archive, scratch], { stdio: 'inherit' });
  const folder = join(scratch, 'kinds');
  mkdirSync(folder);
  for (const kind of KINDS) renameSync(join(scratch, 'data', `${kind}.jsonl`), join(folder, `${kind}.jsonl`));
  return folder;
}

/** The mean at 0 and at sparsities that were never trained, in the reference's windows. */
function compareDamage(records) {
  const golden = JSON.parse(readFileSync(join(values.shared, 'golden', 'smollm2-135m', 'nll.json'), 'utf8'));
  const sparsities = golden.rows.map(({ sparsity }) => sparsity).join(',');
  const text = join(values.shared, 'data', 'text', golden.text);
  const windows = ['--window', String(golden.window), '--max-tokens', String(golden.tokens)];
  const { results } = evaluate(['--text', text, ...windows, '--sparsity', sparsities], records);
  return compareMeans(golden.rows, results);
}

/** llama-perplexity's protocol over 16 chunks, as transformers gives it. */
function compareLlamaPerplexity(records) {
  const text = join(values.shared, 'data', 'text', 'wikitext2.valid.txt');
  const chunks = ['--window', '512', '--min-context', '257', '--max-tokens', String(16 * 512)];
  const { results } = evaluate(['--text', text, ...chunks], records);
  const { perplexity } = results[0].perplexity;
  const expected = 15.38708;
  return {
    what: 'perplexity as llama-perplexity',
    expected,
    got: perplexity,
    isRight: Math.abs(perplexity - expected) < 2e-3,
  };
}
