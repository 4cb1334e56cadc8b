/**
 * What constrained sampling costs: microseconds a token for the set of allowed tokens, on a real vocabulary.
 *
 *   node bench/grammar.mjs TOKENIZER.json [--texts 40] [--out bench/results/grammar.json]
 *
 * For each schema texts are written by choosing allowed tokens at random: first ones, each with a grammar that was just compiled, as a server sees a new schema, then later ones, all with the same
 * grammar, which remembers its states. Timed is what a request adds to a token: `allowed(ids)`, from the token before to the set of what may follow. Compiling the schema and making the tree of the
 * vocabulary are timed apart. Uses dist/.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, writeJson } from './lib/processes.mjs';
import { median } from './lib/statistics.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { texts: { type: 'string', default: '40' }, out: { type: 'string' } },
});
const MOST_TOKENS = 150;
const FIRST_TEXTS = 10;

const SCHEMAS = {
  'any JSON object': { type: 'object' },
  'a person: nested object, formats, ranges, enum': {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 60 },
      email: { type: 'string', format: 'email' },
      born: { type: 'string', format: 'date' },
      height: { type: 'number', minimum: 0.3, maximum: 2.8 },
      role: { enum: ['admin', 'author', 'reader'] },
      tags: { type: 'array', items: { type: 'string', maxLength: 20 }, maxItems: 5 },
      address: {
        type: 'object',
        properties: {
          street: { type: 'string' },
          city: { type: 'string' },
          zip: { type: 'string', pattern: '^[0-9]{5}$' },
        },
        required: ['street', 'city', 'zip'],
        additionalProperties: false,
      },
    },
    required: ['name', 'email', 'born', 'height', 'role', 'tags', 'address'],
    additionalProperties: false,
  },
  'a recursive tree of tagged unions': {
    $ref: '#/$defs/node',
    $defs: {
      node: {
        oneOf: [
          {
            type: 'object',
            properties: { kind: { const: 'leaf' }, value: { type: ['string', 'number', 'null'] } },
            required: ['kind', 'value'],
            additionalProperties: false,
          },
          {
            type: 'object',
            properties: {
              kind: { const: 'branch' },
              children: { type: 'array', items: { $ref: '#/$defs/node' }, minItems: 1 },
            },
            required: ['kind', 'children'],
            additionalProperties: false,
          },
        ],
      },
    },
  },
};

if (positionals.length !== 1) throw new Error('expected the path of one tokenizer.json');
const { compileJsonSchema, constrainTokens, GrammarVocabulary, Tokenizer } = await import('../dist/index.js');
const { describeMachine } = await import('../dist/cli/shared/machine.js');
const { Prng } = await import('../dist/util/prng.js');

const tokenizer = Tokenizer.fromJson(JSON.parse(readFileSync(positionals[0], 'utf8')));
const bytes = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenBytes(id));
const [vocabulary, vocabularyMs] = timed(() => new GrammarVocabulary(bytes));
const end = bytes.indexOf(null);

const rows = Object.entries(SCHEMAS).map(([name, schema]) => measure(name, schema));
const result = {
  bench: 'grammar',
  vocabulary: tokenizer.vocabSize,
  vocabularyMs,
  machine: describeMachine(),
  commit: execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12'], {
    cwd: ROOT,
    encoding: 'utf8',
  }).trim(),
  rows,
};
if (values.out) writeJson(path.resolve(values.out), result);
console.log(JSON.stringify(result, null, 1));

function measure(name, schema) {
  const prng = new Prng(1);
  const [first, later, compileMs] = [[], [], []];
  for (let text = 0; text < FIRST_TEXTS; text++) {
    const [grammar, ms] = timed(() => compileJsonSchema(schema));
    compileMs.push(ms);
    first.push(...writeText(grammar, prng));
  }
  const grammar = compileJsonSchema(schema);
  for (let text = 0; text < 2 * Number(values.texts); text++) {
    const times = writeText(grammar, prng);
    if (text >= Number(values.texts)) later.push(...times);
  }
  return { schema: name, compileMs: median(compileMs), firstTexts: summary(first), laterTexts: summary(later) };
}

/** Microseconds of each set of tokens of one text. */
function writeText(grammar, prng) {
  const allowed = constrainTokens(grammar, vocabulary, [end]);
  const ids = [];
  const times = [];
  while (ids.length < MOST_TOKENS) {
    const begin = performance.now();
    const words = allowed(ids);
    times.push(1000 * (performance.now() - begin));
    const choices = [];
    for (let id = 0; id < bytes.length; id++) if ((words[id >>> 5] >>> (id & 31)) & 1) choices.push(id);
    const id = choices[Math.floor(prng.next() * choices.length)];
    if (id === end) break;
    ids.push(id);
  }
  return times;
}

function summary(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const mean = times.reduce((sum, one) => sum + one, 0) / times.length;
  return { tokens: times.length, meanUs: mean, p50Us: at(0.5), p99Us: at(0.99), maxUs: sorted[sorted.length - 1] };
}

function timed(make) {
  const begin = performance.now();
  return [make(), performance.now() - begin];
}
