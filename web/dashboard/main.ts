/** The training dashboard: runs of the server, live, or from files that somebody dropped; several over each other. */

import 'uplot/dist/uPlot.min.css';
import { buildAxes, buildCharts, type ChartRun } from '../../src/report/charts.ts';
import { sortRecords, summarise } from '../../src/report/summary.ts';
import { messageOf } from '../../src/util/errors.ts';
import { ChartsView, type XName } from '../shared/charts-view.ts';
import { byId, replaceKept } from '../shared/dom.ts';
import { droppedFiles } from '../shared/dropped-files.ts';
import { setUpHeader } from '../shared/header.ts';
import { serverKey, setServerKey } from '../shared/server.ts';
import { type HeatField, HeatView } from './heat-view.ts';
import { RunStore, type StoredRun } from './run-store.ts';
import { overview, parts, samples } from './tables-view.ts';

/** A step of a small model takes less, of a large one more; nobody watches closer. */
const POLL_MS = 3000;
/** Shown where nobody chose: the newest. */
const SHOWN_AT_FIRST = 3;
/** What is wrong with the files that were given, until others are; and with the server, until it answers. */
const problems: { files: readonly string[]; server: readonly string[] } = { files: [], server: [] };

setUpHeader();
const store = new RunStore();
const shown = new Set<string>();
const charts = new ChartsView(byId('charts'), 'h2');
const heat = new HeatView(byId('heats'), byId('heat-at'));
const heatRun = byId<HTMLSelectElement>('heat-run');
/** The run of the pictures by layer; the first where it is not shown. */
let heatName = '';
let isChosen = false;
let hasServer = false;
/** Which runs there were at the last look, and which of them trained. */
let lastListing = '';

function say(of: keyof typeof problems, lines: readonly string[]): void {
  problems[of] = lines;
  const all = [...problems.files, ...problems.server];
  byId('error').hidden = all.length === 0;
  byId('error').textContent = all.join(' ');
}

/** Draws everything anew from what is known; who stands somewhere with the keyboard, or has opened something, keeps it. */
function show(): void {
  const { runs } = store;
  // Scrolled by the keyboard where it is wider than the page.
  byId('overview').tabIndex = 0;
  byId('drop').hidden = runs.length > 0;
  byId('overview').hidden = runs.length === 0;
  const rows = runs.map((stored) => {
    const summary = stored.run.records.length === 0 ? null : summarise(stored.run);
    return { stored, summary, isShown: shown.has(stored.key) };
  });
  replaceKept(
    byId('overview'),
    overview(rows, (stored, isShown) => void choose(stored, isShown)),
  );
  const visible = rows.filter(({ isShown, summary }) => isShown && summary !== null);
  byId('views').hidden = visible.length === 0;
  if (visible.length === 0) return;
  const chartRuns = visible.map(({ stored: { run } }) => ({ name: run.name, records: sortRecords(run.records) }));
  const form = new FormData(byId<HTMLFormElement>('controls'));
  const skipsStart = byId<HTMLInputElement>('skip-start').checked;
  const colors = visible.map(({ stored: { color } }) => color);
  const curves = { charts: buildCharts(chartRuns), axes: buildAxes(chartRuns), colors };
  charts.show(curves, form.get('x') as XName, skipsStart);
  showHeat(chartRuns);
  byId('parts').replaceChildren(parts(visible.map(({ summary }) => summary!)));
  const texts = samples(chartRuns);
  byId('samples-section').hidden = texts.length === 0;
  replaceKept(byId('samples'), ...texts);
}

function showHeat(chartRuns: readonly ChartRun[]): void {
  const names = chartRuns.map(({ name }) => name);
  const at = Math.max(0, names.indexOf(heatName));
  const offered = [...heatRun.options].map(({ value }) => value);
  // A list that is open would close.
  if (names.join('\n') !== offered.join('\n')) {
    heatRun.replaceChildren(...names.map((name, i) => new Option(name, name, false, i === at)));
  }
  const field = byId<HTMLSelectElement>('heat-what').value as HeatField;
  byId('heat-section').hidden = !heat.show(chartRuns[at], field);
}

async function choose(stored: StoredRun, isShown: boolean): Promise<void> {
  isChosen = true;
  if (isShown) shown.add(stored.key);
  else shown.delete(stored.key);
  await attempt(async () => {
    if (isShown) await store.update(stored);
  });
  show();
}

/** Asks the server; what goes wrong is said on the page. Resolves to whether it went well. */
async function attempt(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    say('server', []);
    return true;
  } catch (error) {
    say('server', [messageOf(error)]);
    return false;
  }
}

async function addFiles(files: readonly File[]): Promise<void> {
  const before = new Set(store.runs.map(({ key }) => key));
  isChosen = true;
  say('files', await store.addFiles(files));
  for (const { key } of store.runs) if (!before.has(key)) shown.add(key);
  show();
}

/** Lists and reads on; again after a while, as long as somebody looks and there is a server, which may be away meanwhile. */
async function poll(): Promise<void> {
  const isGood = await attempt(async () => {
    const answers = await store.list();
    hasServer ||= answers;
    if (answers) await readOn();
    else if (hasServer) byId('live').textContent = 'the server does not answer';
  });
  // Whoever was refused may have a key.
  hasServer ||= !isGood;
  byId('key-field').hidden = isGood;
  if (hasServer) setTimeout(() => void whenVisible().then(poll), POLL_MS);
}

/** What is new of the runs that are shown. */
async function readOn(): Promise<void> {
  const { runs } = store;
  if (!isChosen) {
    shown.clear();
    for (const { key } of runs.slice(0, SHOWN_AT_FIRST)) shown.add(key);
  }
  const listing = runs.map(({ key, isLive }) => `${key} ${isLive}`).join();
  const growing = runs.filter(({ key, mayGrow }) => shown.has(key) && mayGrow);
  const updates = await Promise.allSettled(growing.map((stored) => store.update(stored)));
  const isNew = updates.some((update) => update.status === 'fulfilled' && update.value);
  if (isNew || listing !== lastListing) show();
  lastListing = listing;
  const live = runs.filter(({ isLive }) => isLive).length;
  byId('live').textContent = live === 0 ? '' : `${live} running, read every ${POLL_MS / 1000} s`;
  // One that cannot be read keeps none of the others from being shown.
  const failed = updates.find((update) => update.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function whenVisible(): Promise<void> {
  if (document.visibilityState === 'visible') return Promise.resolve();
  return new Promise((resolve) => document.addEventListener('visibilitychange', () => resolve(), { once: true }));
}

for (const id of ['files', 'folder']) {
  const input = byId<HTMLInputElement>(id);
  input.addEventListener('change', () => {
    if (input.files?.length) void addFiles([...input.files]);
    input.value = '';
  });
}
const key = byId<HTMLInputElement>('key');
key.value = serverKey();
key.addEventListener('change', () => setServerKey(key.value));
byId('controls').addEventListener('input', show);
byId('controls').addEventListener('submit', (event) => event.preventDefault());
for (const id of ['heat-run', 'heat-what']) {
  byId(id).addEventListener('change', () => {
    heatName = heatRun.value;
    show();
  });
}
addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('over');
});
addEventListener('dragleave', (event) => {
  if (event.relatedTarget === null) document.body.classList.remove('over');
});
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('over');
  if (event.dataTransfer !== null) void droppedFiles(event.dataTransfer).then(addFiles);
});
void poll();
