/**
 * load: a model that writes text, from a path or a URL, in one line: `load` of the package in Node. In a browser it is browser/load.ts, with the
 * same names and shapes.
 *
 *     const model = await load('runs/book');
 *     for await (const { text } of model.generate('Once upon a time')) process.stdout.write(text);
 *     await model.dispose();
 */

import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Backend } from '../backend.ts';
import { loadBackend } from '../backends/load-backend.ts';
import { type ByteSource, memorySource } from '../formats/byte-source.ts';
import { openModel } from '../import/open-model.ts';
import { tokenizerOfModel } from '../tokenizer/tokenizer-of-model.ts';
import { chunksOf, fetchModel, fetchResponse } from './fetch-model.ts';
import { openModelBytes } from './open-model-bytes.ts';
import { runTextModel, type TextModelParts } from './run-text-model.ts';
import type { LoadOptions, TextModel } from './text-model.ts';

/**
 * `source`: whatever the commands take as a MODEL (a run, a checkpoint, a packed model, a Hugging Face directory, a GGUF file), or the URL of a GGUF
 * file or of the directory of a packed model, which is held in memory while it is read. Throws FormatError for what is no model, BackendError and
 * UsageError for what the machine or the options do not allow, and the signal's reason.
 */
export async function load(source: string | URL, options: LoadOptions = {}): Promise<TextModel> {
  const { threads, contextTokens, onNotice, signal } = options;
  signal?.throwIfAborted();
  const backend = await loadBackend({ threads, notice: onNotice });
  let parts: TextModelParts | undefined;
  try {
    parts = await openParts(source, backend, options);
    const model = runTextModel(parts, { contextTokens });
    const dispose = async () => {
      await model.dispose();
      backend.dispose();
    };
    return { info: model.info, generate: (prompt, generate) => model.generate(prompt, generate), dispose };
  } catch (error) {
    parts?.dispose();
    backend.dispose();
    throw error;
  }
}

async function openParts(source: string | URL, backend: Backend, options: LoadOptions): Promise<TextModelParts> {
  const url = urlOf(source);
  if (url !== null && url.protocol !== 'file:') {
    const files = await fetchModel(url, (file) => fetchFile(file, options));
    return await openModelBytes(files, backend, options);
  }
  const path = url === null ? String(source) : fileURLToPath(url);
  const model = openModel(path, backend);
  const { config, weights, bytes, dispose } = model;
  return {
    name: basename(resolve(path)),
    config,
    weights,
    bytes,
    backend,
    tokenizer: tokenizerOfModel(model),
    dispose,
  };
}

/** null for a path; one letter before a colon is a drive of Windows. */
function urlOf(source: string | URL): URL | null {
  if (source instanceof URL) return source;
  return /^[a-z][a-z\d+.-]+:\/\//i.test(source) ? new URL(source) : null;
}

async function fetchFile(url: URL, options: LoadOptions): Promise<ByteSource | null> {
  const response = await fetchResponse(url, options.signal);
  if (response === null) return null;
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(response, url, options)) chunks.push(chunk);
  return memorySource(Buffer.concat(chunks), url.href);
}
