/**
 * ModelChooser: the panel that chooses and loads a model: one of the server's, one by its URL, or dropped files; with progress, cancelling, what is kept
 * for the next visit, and errors in words.
 */

import { cachedFiles, load, type ModelInput, removeCachedFile } from 'qsparse';
import type { LoadProgress, TextModel } from '../../src/load/text-model.ts';
import type { ListedModel } from '../../src/server/page-answers.ts';
import { messageOf } from '../../src/util/errors.ts';
import { byId, h } from '../shared/dom.ts';
import { droppedFiles } from '../shared/dropped-files.ts';
import { bytes, count } from '../shared/numbers.ts';
import { serverKey, setServerKey } from '../shared/server.ts';
import { changeModel, httpModel, servedModels } from './http-model.ts';

export class ModelChooser {
  /** A model is ready; the one before it is disposed of. */
  onModel: (model: TextModel) => void = () => {};
  readonly #panel = byId('chooser');
  readonly #button = byId<HTMLButtonElement>('choose');
  readonly #status = byId('model-status');
  readonly #key = byId<HTMLInputElement>('key');
  #model: TextModel | null = null;
  #loading: AbortController | null = null;
  /** A model was named: none is taken in its place, whatever becomes of it. */
  #isNamed = false;
  #isListed = true;

  constructor() {
    this.#button.addEventListener('click', () => this.#open(this.#panel.hidden === true));
    byId<HTMLFormElement>('url-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.load(byId<HTMLInputElement>('url').value.trim());
    });
    for (const id of ['files', 'folder']) {
      const input = byId<HTMLInputElement>(id);
      input.addEventListener('change', () => {
        if (input.files?.length) void this.load([...input.files]);
        input.value = '';
      });
    }
    byId('cancel-load').addEventListener('click', () => this.#loading?.abort());
    this.#key.value = serverKey();
    this.#key.addEventListener('change', () => {
      setServerKey(this.#key.value);
      void this.listServed();
    });
    byId('kept').addEventListener('toggle', () => void this.#listKept());
    this.#setUpDrop();
  }

  /** Shows the models of the server; resolves to whether there is one. The first that is loaded is taken where none was named. */
  async listServed(): Promise<boolean> {
    const section = byId('server-models');
    let models: ListedModel[] | null;
    try {
      models = await servedModels();
    } catch (error) {
      section.hidden = false;
      this.#isListed = false;
      this.#say(messageOf(error), true);
      return true;
    }
    section.hidden = models === null;
    if (models === null) return false;
    if (!this.#isListed) this.#say('');
    this.#isListed = true;
    byId('model-list').replaceChildren(...models.map((model) => this.#servedEntry(model)));
    const first = models.find(({ loaded }) => loaded);
    const isWanted = this.#model === null && !this.#isNamed;
    const model = isWanted && first !== undefined ? httpModel(first) : null;
    if (model !== null) this.#use(model);
    return true;
  }

  /** From a URL or files, into a Worker of this page. */
  async load(source: ModelInput): Promise<void> {
    this.#isNamed = true;
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    byId('loading').hidden = false;
    this.#say('');
    this.#show(null);
    try {
      const model = await load(source, {
        signal: loading.signal,
        onProgress: (progress) => this.#show(progress),
        onNotice: (line) => this.#say(line),
      });
      this.#use(model);
    } catch (error) {
      // Another load has taken its place, and speaks for itself.
      if (this.#loading !== loading) return;
      if (loading.signal.aborted) this.#say('Loading was cancelled.');
      else this.#say(messageOf(error), true);
    } finally {
      if (this.#loading === loading) {
        this.#loading = null;
        byId('loading').hidden = true;
      }
      void this.#listKept();
    }
  }

  #use(model: TextModel): void {
    void this.#model?.dispose();
    this.#model = model;
    this.#open(false);
    this.onModel(model);
  }

  #open(isOpen: boolean): void {
    this.#panel.hidden = !isOpen;
    this.#button.setAttribute('aria-expanded', String(isOpen));
    this.#button.textContent =
      isOpen && this.#model !== null ? 'Close' : this.#model === null ? 'Choose a model' : 'Change the model';
  }

  #say(text: string, isError = false): void {
    this.#status.replaceChildren(text === '' ? '' : h('p', { class: isError ? 'message error' : 'message' }, text));
  }

  #show(progress: LoadProgress | null): void {
    const bar = byId<HTMLProgressElement>('loading-bar');
    bar.removeAttribute('value');
    byId('loading-text').textContent = 'Loading';
    if (progress === null) return;
    const { phase, file, loadedBytes, totalBytes } = progress;
    const name = decodedName(file.slice(file.lastIndexOf('/') + 1));
    const verb = phase === 'fetch' ? 'Fetching' : 'Reading';
    byId('loading-text').textContent =
      `${verb} ${name}: ${bytes(loadedBytes)}${totalBytes === null ? '' : ` of ${bytes(totalBytes)}`}`;
    if (totalBytes === null || totalBytes === 0) return;
    bar.max = totalBytes;
    bar.value = loadedBytes;
  }

  #servedEntry({ id, parameters, dtype, config, loaded }: ListedModel): HTMLElement {
    const facts = [
      parameters === null ? null : `${count(parameters)} parameters`,
      dtype,
      config === null ? null : `${config.nLayers} layers`,
    ].filter((fact) => fact !== null);
    const use = h('button', { class: 'button', type: 'button' }, loaded ? 'Use' : 'Load and use');
    use.addEventListener('click', () => void this.#useServed(id, loaded, use));
    const buttons = h('div', { class: 'row' }, use);
    if (loaded) {
      const unload = h('button', { class: 'button quiet', type: 'button', 'aria-label': `Unload ${id}` }, 'Unload');
      unload.addEventListener('click', () => void this.#change('unload', id, unload));
      buttons.append(unload);
    }
    return h('li', {}, h('div', {}, h('strong', {}, id), h('div', { class: 'facts' }, facts.join(' · '))), buttons);
  }

  async #useServed(id: string, isLoaded: boolean, button: HTMLButtonElement): Promise<void> {
    if (!isLoaded && !(await this.#change('load', id, button))) return;
    const served = (await servedModels())?.find((model) => model.id === id);
    const model = served === undefined ? null : httpModel(served);
    if (model === null) this.#say(`The server does not say what ${id} is.`, true);
    else this.#use(model);
  }

  /** Resolves to whether the server did it. */
  async #change(action: 'load' | 'unload', id: string, button: HTMLButtonElement): Promise<boolean> {
    button.disabled = true;
    try {
      await changeModel(action, id);
      await this.listServed();
      return true;
    } catch (error) {
      this.#say(messageOf(error), true);
      return false;
    } finally {
      button.disabled = false;
    }
  }

  async #listKept(): Promise<void> {
    if (!byId<HTMLDetailsElement>('kept').open) return;
    const files = await cachedFiles();
    const entries = files.map((file) => {
      const remove = h(
        'button',
        { class: 'button quiet small', type: 'button', 'aria-label': `Remove ${file.url}` },
        'Remove',
      );
      remove.addEventListener('click', () => void removeCachedFile(file.url).then(() => this.#listKept()));
      return h('li', {}, h('span', {}, `${file.url} · ${bytes(file.bytes)}`), remove);
    });
    const nothing = h('p', { class: 'small dim' }, 'Nothing is kept in this browser.');
    byId('kept-list').replaceChildren(entries.length === 0 ? nothing : h('ul', { class: 'kept-files' }, ...entries));
  }

  #setUpDrop(): void {
    const drop = byId('drop');
    const over = (isOver: boolean) => drop.classList.toggle('over', isOver);
    for (const name of ['dragenter', 'dragover']) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        over(true);
      });
    }
    drop.addEventListener('dragleave', () => over(false));
    drop.addEventListener('drop', (event) => {
      event.preventDefault();
      over(false);
      if (event.dataTransfer !== null) void droppedFiles(event.dataTransfer).then((files) => this.load(files));
    });
  }
}

/** A file from the disk may have a bare % in its name. */
function decodedName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
