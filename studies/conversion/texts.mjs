/**
 * What the study trains on, calibrates with and measures: files below --runs/texts, made of the folder --data once. No text has two roles.
 *
 * SmolLM2: WikiText-2 and novels. Most of the training part of WikiText-2 and five novels are trained on, its end calibrates, the whole validation part
 * and two novels of other authors are measured. Conversations: dolly and instruction data, as prompts and answers.
 * Models that write stories: samples of their own are trained on (samples.mjs), a thousand real stories calibrate (a hundred of them) and are measured (the others), each by itself.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const TRAINED_NOVELS = [
  'Bennet_Helen_1910',
  'Burnett_Garden_1911',
  'Conrad_Almayer_1895',
  'Hardy_Tess_1891',
  'Kipling_Kim_1901',
];
const MEASURED_NOVELS = ['Eliot_Adam_1859', 'Doyle_Hound_1902'];
const CALIBRATION_SHARE = 0.05;
const CALIBRATION_STORIES = 100;
/** How UTF-8 looks that was read as Windows-1252: such stories cost any model a nat a token more, whatever it does with its zeros. */
const DAMAGED = /â€/;
/** From the middle of a novel: beginnings are title pages. */
const EXCERPT_CHARACTERS = 150_000;

/** `{ trained, calibration, perplexity, conversations }` of one of STUDIES (plan.mjs): paths. Throws where the data are not there. */
export function textsOf(study, data, runs) {
  const folder = path.join(runs, 'texts');
  mkdirSync(folder, { recursive: true });
  const write = (name, make) => {
    const file = path.join(folder, name);
    if (!existsSync(file)) writeFileSync(file, make());
    return file;
  };
  const read = (...parts) => readFileSync(path.join(data, ...parts), 'utf8');
  return study.ownSamples ? storiesTexts(read, write, folder) : generalTexts(read, write, data);
}

function generalTexts(read, write, data) {
  const novel = (name) => path.join(data, 'text/novels100', `${name}.txt`);
  const wiki = () => read('text/wikitext2.train_5k_lines.txt');
  const cut = (text) => text.lastIndexOf('\n', (1 - CALIBRATION_SHARE) * text.length) + 1;
  return {
    trained: [write('wikitext2.train.txt', () => wiki().slice(0, cut(wiki()))), ...TRAINED_NOVELS.map(novel)],
    calibration: write('calibration.txt', () => wiki().slice(cut(wiki()))),
    perplexity: [
      { name: 'wikitext2', file: path.join(data, 'text/wikitext2.valid.txt') },
      {
        name: 'novels',
        file: write('novels.txt', () =>
          interleaved(MEASURED_NOVELS.map((name) => middleOf(read('text/novels100', `${name}.txt`)))),
        ),
      },
    ],
    conversations: [write('conversations.jsonl', () => conversations(read))],
  };
}

function storiesTexts(read, write, folder) {
  const stories = () => spread(JSON.parse(read('text/tinystories_1000.json')).filter((story) => !DAMAGED.test(story)));
  // As the models write them: not one of 8,000 samples has an empty line between its paragraphs.
  const textOf = (story) => story.trim().replace(/\n\s*\n/g, '\n');
  const asLines = (some) => some.map((story) => `${JSON.stringify({ text: textOf(story) })}\n`).join('');
  return {
    trained: [path.join(folder, 'samples.jsonl')],
    calibration: write('calibration.jsonl', () => asLines(stories().slice(0, CALIBRATION_STORIES))),
    perplexity: [
      { name: 'stories', file: write('stories.jsonl', () => asLines(stories().slice(CALIBRATION_STORIES))) },
    ],
    conversations: [],
  };
}

/** Every hundredth first, then those next to them: the file is in order of kinds of stories, and neither its beginning nor its end is like the whole. */
export function spread(stories, every = 100) {
  const place = (i) => (i % every) * stories.length + i;
  return stories
    .map((story, i) => [place(i), story])
    .toSorted(([a], [b]) => a - b)
    .map(([, story]) => story);
}

export function middleOf(text, length = EXCERPT_CHARACTERS) {
  const start = Math.max(0, Math.floor((text.length - length) / 2));
  return text.slice(start, start + length);
}

/** Piece by piece in turns, so that the first tokens of the whole are of all texts. */
export function interleaved(texts, piece = 8000) {
  const pieces = texts.map((text) =>
    Array.from({ length: Math.ceil(text.length / piece) }, (_, i) => text.slice(i * piece, (i + 1) * piece)),
  );
  const longest = Math.max(...pieces.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => pieces.map((own) => own[i] ?? '').join('\n')).join('\n');
}

const WRAPPER = /^Below is an instruction[^\n]*\n+### Instruction:\n([\s\S]*?)\n+### Response:\n*$/;

/** JSON lines of prompt and completion, without the frame of other templates. */
function conversations(read) {
  const dolly = read('sft/dolly_hhrlhf_train_small.jsonl')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .map(({ prompt, response }) => ({ prompt: unwrapped(prompt), completion: response }));
  const instructions = JSON.parse(read('sft/rasbt_instruction-data.json')).map(({ instruction, input, output }) => ({
    prompt: input ? `${instruction}\n\n${input}` : instruction,
    completion: output,
  }));
  const isWhole = ({ prompt, completion }) => prompt.trim() !== '' && completion.trim() !== '';
  return `${[...dolly, ...instructions]
    .filter(isWhole)
    .map((pair) => JSON.stringify(pair))
    .join('\n')}\n`;
}

export function unwrapped(prompt) {
  return WRAPPER.exec(prompt)?.[1] ?? prompt;
}
