/**
 * The program of the Worker: loads one model and writes texts with it, as browser/load.ts asks.
 *
 * Kernels run here, and their threads are Workers of this one: a page's own thread may neither wait nor be kept busy.
 */

import { checkKernels } from '../backends/check-kernels.ts';
import { browserPlatform } from '../backends/wasm/browser-platform.ts';
import { createWasmBackend } from '../backends/wasm/wasm-backend.ts';
import { withKernels } from '../backends/with-kernels.ts';
import { fetchModel } from '../load/fetch-model.ts';
import { type ModelBytes, openModelBytes } from '../load/open-model-bytes.ts';
import { runTextModel } from '../load/run-text-model.ts';
import type { LoadOptions, TextModel } from '../load/text-model.ts';
import { UsageError } from '../util/errors.ts';
import { blobSource } from './blob-source.ts';
import type { WorkerScope } from './browser-globals.ts';
import { fetchFile, openCache } from './fetch-file.ts';
import { filesOfModel } from './files-of-model.ts';
import { type FromWorker, type SentSource, sendError, type ToWorker } from './protocol.ts';

const scope = globalThis as unknown as WorkerScope;
const post = (message: FromWorker): void => scope.postMessage(message);

let model: TextModel | undefined;
const stops = new Map<number, AbortController>();

scope.onmessage = ({ data }) => {
  const message = data as ToWorker;
  if (message.type === 'load') void load(message);
  else if (message.type === 'generate') void generate(message);
  else stops.get(message.id)?.abort();
};

async function load({ source, options }: Extract<ToWorker, { type: 'load' }>): Promise<void> {
  const { threads, contextTokens, cache = true } = options;
  const loadOptions: LoadOptions = {
    cache,
    onProgress: (progress) => post({ type: 'progress', progress }),
    onNotice: (line) => post({ type: 'notice', line }),
  };
  try {
    const files = await filesOf(source, loadOptions);
    const unchecked = await createWasmBackend(browserPlatform, { threads });
    const kernels = checkKernels(unchecked.kernels, { debug: false });
    const backend = withKernels(unchecked, () => kernels);
    model = runTextModel(await openModelBytes(files, backend, loadOptions), { contextTokens });
    post({ type: 'loaded', info: model.info });
  } catch (error) {
    post({ type: 'load-failed', error: sendError(error) });
  }
}

async function filesOf(source: SentSource, options: LoadOptions): Promise<ModelBytes> {
  if (source.kind === 'files') return filesOfModel(source.files.map(({ name, blob }) => blobSource(blob, name)));
  const cache = await openCache(options);
  return await fetchModel(new URL(source.href), (url) => fetchFile(url, cache, options));
}

async function generate({ id, prompt, options }: Extract<ToWorker, { type: 'generate' }>): Promise<void> {
  const stop = new AbortController();
  stops.set(id, stop);
  try {
    if (model === undefined) throw new UsageError('generate', 'no model is loaded: expected load before. Load one.');
    const pieces = model.generate(prompt, { ...options, signal: stop.signal });
    for (;;) {
      const next = await pieces.next();
      if (next.done) {
        post({ type: 'ended', id, summary: next.value });
        return;
      }
      post({ type: 'piece', id, piece: next.value });
    }
  } catch (error) {
    post({ type: 'failed', id, error: sendError(error) });
  } finally {
    stops.delete(id);
  }
}
