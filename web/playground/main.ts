/** The playground: a prompt, the model's text, and beside it the dense model's; what was kept, what it took, what it changed. */

import type { ChatMessage } from '../../src/chat/chat-template.ts';
import type { TextModel, TextOptions, TextPrompt } from '../../src/load/text-model.ts';
import type { SparsityOverride } from '../../src/model/sparsity-override.ts';
import { messageOf } from '../../src/util/errors.ts';
import { byId, h } from '../shared/dom.ts';
import { setUpHeader } from '../shared/header.ts';
import { bytes, count, duration, percent } from '../shared/numbers.ts';
import { ModelChooser } from './model-chooser.ts';
import { RunView } from './run-view.ts';
import { DENSE, type Mode, Settings } from './settings.ts';
import { MOST_TOKENS, tokenChanges } from './token-changes.ts';

setUpHeader();
const settings = new Settings();
const chooser = new ModelChooser();
const prompt = byId<HTMLTextAreaElement>('prompt');
const run = byId<HTMLButtonElement>('run');
const stop = byId<HTMLButtonElement>('stop');
const clear = byId<HTMLButtonElement>('clear');
const conversation = byId('conversation');
let messages: ChatMessage[] = [];

const WARM_UP_TOKENS = 12;

let model: TextModel | null = null;
let writing: AbortController | null = null;
/** Whether the engine has run before: its code gets faster while it does, and the first of two runs should not pay for both. */
let isWarm = false;

chooser.onModel = (chosen) => {
  writing?.abort();
  model = chosen;
  isWarm = false;
  const { name, parameters, dtype, config, contextTokens, backend, bytes: size, hasChatTemplate } = chosen.info;
  const facts = [
    `${count(parameters)} parameters`,
    dtype,
    `${config.nLayers} layers`,
    `${contextTokens} tokens of context`,
    ...(size > 0 ? [bytes(size)] : []),
    backend,
  ];
  byId('model-title').textContent = name;
  byId('model-facts').replaceChildren(...facts.map((fact) => h('li', {}, fact)));
  settings.adopt(config);
  settings.mode = hasChatTemplate ? 'chat' : 'completion';
  forget();
  update();
  prompt.focus();
};

settings.onMode = (mode: Mode) => {
  byId('prompt-label').textContent = mode === 'chat' ? 'Message' : 'Text to go on with';
  run.textContent = mode === 'chat' ? 'Send' : 'Write';
  update();
};

clear.addEventListener('click', forget);
stop.addEventListener('click', () => writing?.abort());
byId<HTMLFormElement>('prompt-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!run.disabled) void write();
});
prompt.addEventListener('keydown', (event) => {
  const isSend = event.key === 'Enter' && (event.ctrlKey || event.metaKey);
  if (!isSend) return;
  event.preventDefault();
  if (!run.disabled) void write();
});

function forget(): void {
  // Another list: an answer that is still written belongs to the old one.
  messages = [];
  conversation.replaceChildren();
  update();
}

function update(): void {
  const isChat = settings.mode === 'chat';
  run.disabled = model === null || writing !== null;
  stop.disabled = writing === null;
  clear.hidden = !isChat || messages.length === 0;
  conversation.hidden = !isChat || messages.length === 0;
}

/** What is asked of the model with this text, and how the page shows the question. */
function question(text: string): { prompt: TextPrompt; shown: string | null } {
  if (settings.mode === 'completion') return { prompt: text, shown: text };
  return { prompt: [...messages, { role: 'user', content: text }], shown: null };
}

async function write(): Promise<void> {
  const current = model;
  if (current === null) return;
  const stopping = new AbortController();
  writing = stopping;
  byId('run-error').hidden = true;
  byId('results').hidden = false;
  byId('verdict').textContent = '';
  update();
  // What is typed or begun anew meanwhile is no part of this.
  const text = prompt.value;
  const talk = messages;
  const { prompt: asked, shown } = question(text);
  const options = { ...settings.options, signal: stopping.signal };
  const { sparsity, compare, mode } = settings;
  const sparse = new RunView(`Sparse, ${settings.sparsityName}`, shown, current.info.config);
  const dense = compare ? new RunView('Dense', shown, current.info.config) : null;
  byId('runs').replaceChildren(sparse.element, ...(dense === null ? [] : [dense.element]));
  const turn = mode === 'chat' ? addTurn('You', text) : null;
  try {
    if (dense !== null && !isWarm) await warmUp(current, asked, options, sparsity);
    isWarm = true;
    await fill(sparse, current, asked, sparsity === undefined ? options : { ...options, sparsity });
    // What was stopped before its first word is no answer: the question can be asked again.
    if (sparse.text === '') turn?.remove();
    else if (mode === 'chat' && talk === messages) answered(text, sparse.text);
    // One after the other: side by side they would take each other's time.
    if (dense !== null && !stopping.signal.aborted) await fill(dense, current, asked, { ...options, sparsity: DENSE });
    compareRuns(sparse, dense);
  } catch (error) {
    // Whoever chooses another model meanwhile has stopped this text.
    byId('run-error').textContent = messageOf(error);
    byId('run-error').hidden = stopping.signal.aborted;
    const failed = sparse.summary === null ? sparse : dense;
    failed?.fail();
    if (failed === sparse) turn?.remove();
  } finally {
    if (writing === stopping) writing = null;
    update();
  }
}

/** A few tokens of each kind that nobody sees. */
async function warmUp(
  from: TextModel,
  asked: TextPrompt,
  options: TextOptions,
  sparsity: SparsityOverride | undefined,
): Promise<void> {
  for (const share of [DENSE, sparsity]) {
    const few = { ...options, maxTokens: WARM_UP_TOKENS, ...(share !== undefined && { sparsity: share }) };
    for await (const _ of from.generate(asked, few));
  }
}

async function fill(view: RunView, from: TextModel, asked: TextPrompt, options: TextOptions): Promise<void> {
  view.begin();
  const pieces = from.generate(asked, options);
  for (;;) {
    const next = await pieces.next();
    if (next.done) {
      view.end(next.value);
      return;
    }
    view.push(next.value);
  }
}

function answered(asked: string, answer: string): void {
  messages.push({ role: 'user', content: asked }, { role: 'assistant', content: answer });
  addTurn('Model', answer.trim());
  if (prompt.value === asked) prompt.value = '';
}

function addTurn(who: string, text: string): HTMLElement {
  const turn = h('div', { class: 'card turn' }, h('span', { class: 'who' }, who), h('p', {}, text));
  conversation.append(turn);
  conversation.hidden = false;
  return turn;
}

function compareRuns(sparse: RunView, dense: RunView | null): void {
  const [own, other] = [sparse.msPerToken, dense?.msPerToken ?? null];
  const full = Math.max(own ?? 0, other ?? 0);
  sparse.showParts(full);
  dense?.showParts(full);
  if (dense === null || dense.summary === null) return;
  const changed = tokenChanges(sparse.ids, dense.ids);
  sparse.markChanged(changed);
  dense.markChanged(tokenChanges(dense.ids, sparse.ids));
  const first = changed.indexOf(true);
  const words = [];
  if (own !== null && other !== null) {
    words.push(`${duration(own)} a token sparse, ${duration(other)} dense: ${(other / own).toFixed(2)} times as fast.`);
  }
  const differs = changed.filter(Boolean).length;
  const compared = Math.min(sparse.ids.length, MOST_TOKENS);
  const all = compared < sparse.ids.length ? `the first ${compared} tokens` : `${compared} tokens`;
  if (first < 0) words.push(`All ${all} are those of the dense model.`);
  else words.push(`${differs} of ${all} changed (${percent(differs / compared)}), the first is number ${first + 1}.`);
  byId('verdict').textContent = words.join(' ');
}

async function start(): Promise<void> {
  const url = new URLSearchParams(location.search).get('model');
  if (url !== null) {
    byId<HTMLInputElement>('url').value = url;
    await chooser.load(url);
  }
  await chooser.listServed();
}

settings.mode = 'completion';
void start();
