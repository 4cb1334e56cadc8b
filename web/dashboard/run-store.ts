/**
 * RunStore: the runs of the dashboard, from the server's listing or from files: the text of each metrics file as far as it is known, and its records.
 *
 * A live run is read on from the byte where the last answer ended. A file is only ever appended to, so nothing that was read changes but by a
 * resume, which parseMetrics knows of.
 */

import { parseMetrics, type ReportRun } from '../../src/report/parse-metrics.ts';
import type { ListedRun } from '../../src/server/page-answers.ts';
import { messageOf } from '../../src/util/errors.ts';
import { messageOfAnswer, serverHeaders, serverList } from '../shared/server.ts';

export interface StoredRun {
  readonly key: string;
  readonly name: string;
  /** Its number in the order in which runs became known: it keeps its colour wherever it is listed. */
  readonly color: number;
  isLive: boolean;
  /** There may be more of it than was read: it trains, or did when it was read the last time. */
  mayGrow: boolean;
  maxSteps: number | null;
  /** Empty until it was asked for. */
  run: ReportRun;
}

interface Served {
  readonly stored: StoredRun;
  readonly id: string;
  text: string;
  bytes: number;
  /** The update that is under way. */
  updating: Promise<boolean> | null;
}

export class RunStore {
  /** Those of the server as it lists them, the newest first; then those of files. */
  readonly runs: StoredRun[] = [];
  #known = 0;
  readonly #served = new Map<string, Served>();

  /**
   * Lists the server's runs anew; resolves to false where none answers: this is a static site. A run that is gone from there stays as it was read. Throws an Error in words.
   */
  async list(): Promise<boolean> {
    const entries = await serverList<ListedRun>('./api/runs');
    if (entries === null) return false;
    for (const entry of entries) this.#take(entry);
    const places = new Map(entries.map(({ id }, place) => [keyOf(id), place]));
    const placeOf = ({ key }: StoredRun) => places.get(key) ?? Number.POSITIVE_INFINITY;
    this.runs.sort((a, b) => (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b)));
    const there = new Set(entries.map(({ id }) => id));
    for (const { id, stored } of this.#served.values()) {
      if (!there.has(id)) Object.assign(stored, { isLive: false, mayGrow: false });
    }
    return true;
  }

  /** Reads what is new of a run of the server; resolves to whether there was something. Throws an Error in words. */
  async update(stored: StoredRun): Promise<boolean> {
    const served = this.#served.get(stored.key);
    if (served === undefined) return false;
    // Two at once would read the same part twice.
    served.updating ??= this.#readOn(served).finally(() => {
      served.updating = null;
    });
    return await served.updating;
  }

  async #readOn(served: Served): Promise<boolean> {
    const { stored } = served;
    let isNew = false;
    // A long file comes in several parts.
    while (await this.#readPart(served)) isNew = true;
    if (isNew) stored.run = { name: stored.name, records: parseMetrics(served.text, stored.name) };
    stored.mayGrow = stored.isLive;
    return isNew;
  }

  async #readPart(served: Served): Promise<boolean> {
    const url = `./api/runs/${encodeURIComponent(served.id)}/metrics?from=${served.bytes}`;
    const response = await fetch(url, { headers: serverHeaders() });
    if (!response.ok) throw new Error(messageOfAnswer(await response.json().catch(() => null), response.status));
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length === 0) return false;
    const next = Number(response.headers.get('x-next-byte') ?? served.bytes + bytes.length);
    // A file that became shorter is another one, and comes from its beginning.
    if (next < served.bytes + bytes.length) served.text = '';
    served.text += new TextDecoder().decode(bytes);
    served.bytes = next;
    return true;
  }

  /** Adds metrics files; of others only those that are called so. Resolves to what is wrong with them, a line each. */
  async addFiles(files: readonly File[]): Promise<string[]> {
    const metrics = files.filter(({ name }) => name.endsWith('.jsonl'));
    if (metrics.length === 0)
      return ['There is no metrics.jsonl among these files. Open the directory of a training run.'];
    const problems: string[] = [];
    for (const file of metrics) {
      try {
        const name = nameOf(file);
        const run = { name, records: parseMetrics(await file.text(), file.name) };
        const key = `file ${file.webkitRelativePath || name}`;
        const old = this.runs.findIndex((one) => one.key === key);
        const color = this.runs[old]?.color ?? this.#known++;
        const stored: StoredRun = { key, name, color, isLive: false, mayGrow: false, maxSteps: maxStepsOf(run), run };
        this.runs.splice(old < 0 ? this.runs.length : old, old < 0 ? 0 : 1, stored);
      } catch (error) {
        problems.push(messageOf(error));
      }
    }
    return problems;
  }

  #take({ id, name, isLive, maxSteps }: ListedRun): void {
    const key = keyOf(id);
    const known = this.#served.get(key)?.stored;
    if (known !== undefined) {
      Object.assign(known, { isLive, maxSteps, mayGrow: isLive || known.mayGrow });
      return;
    }
    const color = this.#known++;
    const stored: StoredRun = { key, name, color, isLive, mayGrow: true, maxSteps, run: { name, records: [] } };
    this.runs.push(stored);
    this.#served.set(key, { stored, id, text: '', bytes: 0, updating: null });
  }
}

function keyOf(id: string): string {
  return `served ${id}`;
}

/** A run is its directory; a file by itself has its own name. */
function nameOf(file: File): string {
  const folder = file.webkitRelativePath.split('/').at(-2);
  return folder ?? file.name.replace(/\.jsonl$/, '');
}

function maxStepsOf({ records }: ReportRun): number | null {
  const last = records.findLast((record) => record.type === 'run');
  const steps = last?.type === 'run' ? last.train.steps : null;
  return typeof steps === 'number' ? steps : null;
}
