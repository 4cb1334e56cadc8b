/**
 * ModelRegistry: the models of a server by their ids, which of them are in memory, and who uses them.
 *
 * A model is loaded when it is asked for. Where the memory limit does not leave room, the least recently used models that nobody uses
 * make it; where those do not suffice, the request is refused and may come again. Loading is synchronous, because the
 * weights belong to the thread that multiplies them: what runs meanwhile waits for it. A model that cannot be loaded says so to whoever asks for
 * it, and nobody else notices.
 */

import { messageOf, nearestName } from '../util/errors.ts';
import { formatBytes } from '../util/format.ts';
import { ApiError } from './api-error.ts';
import type { ModelDescription, ModelSource, ServedModel } from './served-model.ts';

/** A model in use: it stays in memory until `release`, of which a second call does nothing. */
export interface ModelLease {
  readonly id: string;
  readonly model: ServedModel;
  readonly description: ModelDescription;
  release(): void;
}

export interface ModelListing {
  readonly id: string;
  /** null: it cannot be read. */
  readonly description: ModelDescription | null;
  readonly loaded: boolean;
  /** Requests that wait or run. */
  readonly users: number;
}

export interface RegistryOptions {
  /** Most memory of all loaded models together. Default: no limit. */
  memoryBytes?: number;
  /** What happened to a model, for the log. */
  onEvent?: (line: string) => void;
}

const NO_ROOM = 'no_room_for_model';

interface Entry {
  readonly source: ModelSource;
  description: ModelDescription | null;
  model: ServedModel | null;
  users: number;
  /** Grows with every use. */
  lastUse: number;
  /** Resolves those who wait for it to be unloaded; null where nobody does. */
  unloading: (() => void)[] | null;
}

export class ModelRegistry {
  readonly #entries = new Map<string, Entry>();
  readonly #memoryBytes: number;
  readonly #onEvent: (line: string) => void;
  #uses = 0;

  /** The ids differ; the first is that of requests which name none. */
  constructor(sources: readonly ModelSource[], { memoryBytes = Infinity, onEvent = () => {} }: RegistryOptions = {}) {
    this.#memoryBytes = memoryBytes;
    this.#onEvent = onEvent;
    for (const source of sources) {
      this.#entries.set(source.id, { source, description: null, model: null, users: 0, lastUse: 0, unloading: null });
    }
  }

  get ids(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** Memory of all loaded models. */
  get bytes(): number {
    return [...this.#entries.values()].reduce((sum, { model }) => sum + (model?.bytes ?? 0), 0);
  }

  list(): ModelListing[] {
    return [...this.#entries.values()].map((entry) => ({
      id: entry.source.id,
      description: this.#tryDescribe(entry),
      loaded: entry.model !== null,
      users: entry.users,
    }));
  }

  /** Loaded models with their ids. */
  loaded(): { id: string; model: ServedModel }[] {
    return [...this.#entries.values()].flatMap(({ source, model }) => (model ? [{ id: source.id, model }] : []));
  }

  /** Loads it where it is not yet. Throws ApiError for an unknown id, for a model that cannot be loaded, and where there is no room. */
  acquire(id: string | undefined): ModelLease {
    const entry = this.#entryOf(id ?? this.ids[0]);
    const { model, description } = this.#load(entry);
    entry.users++;
    entry.lastUse = ++this.#uses;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      entry.users--;
      if (entry.users === 0 && entry.unloading) this.#unloadNow(entry);
    };
    return { id: entry.source.id, model, description, release };
  }

  /** As `acquire`, without using it. */
  load(id: string): void {
    const entry = this.#entryOf(id);
    this.#load(entry);
    entry.lastUse = ++this.#uses;
  }

  /** As `load`, but no other model makes room for it: false where there is none. */
  loadIfRoom(id: string): boolean {
    const entry = this.#entryOf(id);
    try {
      this.#load(entry, { evicts: false });
    } catch (error) {
      if (error instanceof ApiError && error.code === NO_ROOM) return false;
      throw error;
    }
    entry.lastUse = ++this.#uses;
    return true;
  }

  /** Frees it as soon as its requests are done; until then it takes no others. Throws ApiError for an unknown id. */
  async unload(id: string): Promise<void> {
    const entry = this.#entryOf(id);
    if (entry.model === null) return;
    if (entry.users === 0) {
      this.#unloadNow(entry);
      return;
    }
    await new Promise<void>((resolve) => {
      entry.unloading = [...(entry.unloading ?? []), resolve];
    });
  }

  /** Frees all models, whoever uses them. */
  dispose(): void {
    for (const entry of this.#entries.values()) if (entry.model) this.#unloadNow(entry);
  }

  #entryOf(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry) return entry;
    const near = id.length <= 100 ? nearestName(id, this.ids) : undefined;
    const known = this.ids.map((one) => `"${one}"`).join(', ');
    const advice = near ? ` Did you mean "${near}"?` : '';
    const message = `There is no model "${id.slice(0, 100)}": expected ${known}.${advice}`;
    throw new ApiError(404, message, { param: 'model', code: 'model_not_found' });
  }

  #load(entry: Entry, { evicts = true } = {}): { model: ServedModel; description: ModelDescription } {
    const { id } = entry.source;
    if (entry.unloading) {
      throw new ApiError(503, `The model "${id}" is being unloaded.`, { code: 'model_unloading', retryAfter: 1 });
    }
    try {
      const description = this.#describe(entry);
      if (entry.model) return { model: entry.model, description };
      this.#makeRoom(entry, description.bytes, evicts);
      const begin = performance.now();
      const model = entry.source.open();
      try {
        // What an engine works in comes on top of what the files tell.
        this.#makeRoom(entry, model.bytes, evicts);
      } catch (error) {
        model.dispose();
        throw error;
      }
      entry.model = model;
      const seconds = ((performance.now() - begin) / 1000).toFixed(2);
      this.#onEvent(`loaded ${id}: ${formatBytes(model.bytes)} in ${seconds} s`);
      return { model, description };
    } catch (error) {
      if (error instanceof ApiError) throw error;
      this.#onEvent(`cannot load ${id}: ${messageOf(error)}`);
      const message = `The model "${id}" cannot be loaded; the server's log says why.`;
      throw new ApiError(503, message, { param: 'model', code: 'model_not_loadable' });
    }
  }

  #describe(entry: Entry): ModelDescription {
    entry.description ??= entry.source.describe();
    return entry.description;
  }

  #tryDescribe(entry: Entry): ModelDescription | null {
    try {
      return this.#describe(entry);
    } catch {
      return null;
    }
  }

  #makeRoom(wanted: Entry, bytes: number, evicts: boolean): void {
    const { id } = wanted.source;
    if (bytes > this.#memoryBytes) throw tooLarge(id, bytes, this.#memoryBytes);
    const idle = [...this.#entries.values()]
      .filter(({ model, users }) => evicts && model !== null && users === 0)
      .sort((a, b) => a.lastUse - b.lastUse);
    const freeable = idle.reduce((sum, { model }) => sum + (model?.bytes ?? 0), 0);
    if (this.bytes - freeable + bytes > this.#memoryBytes) {
      const message = `There is no room for the model "${id}" beside those that are answering. Try again later.`;
      throw new ApiError(503, message, { param: 'model', code: NO_ROOM, retryAfter: 5 });
    }
    for (const entry of idle) {
      if (this.bytes + bytes <= this.#memoryBytes) return;
      this.#unloadNow(entry);
    }
  }

  #unloadNow(entry: Entry): void {
    entry.model?.dispose();
    entry.model = null;
    const waiting = entry.unloading ?? [];
    entry.unloading = null;
    this.#onEvent(`unloaded ${entry.source.id}`);
    for (const resolve of waiting) resolve();
  }
}

function tooLarge(id: string, bytes: number, limit: number): ApiError {
  const message = `The model "${id}" needs ${formatBytes(bytes)}: this server has ${formatBytes(limit)} for models.`;
  return new ApiError(503, message, { param: 'model', code: 'model_too_large' });
}
