/** filesOfModel: which of some files, dropped on a page, make a model: a .gguf file, or those of a packed model, by their names. */

import type { ByteSource } from '../formats/byte-source.ts';
import type { ModelBytes } from '../load/open-model-bytes.ts';
import { UsageError } from '../util/errors.ts';

/** The path of a source is its name, or where it lay in a folder. Throws UsageError that says what is missing. */
export function filesOfModel(files: readonly ByteSource[]): ModelBytes {
  const gguf = files.filter(({ path }) => path.endsWith('.gguf'));
  const packed = [...new Set(files.map(({ path }) => folderOf(path)))].flatMap((folder) => packedIn(folder, files));
  if (gguf.length === 1 && packed.length === 0) return { kind: 'gguf', name: lastPart(gguf[0].path), model: gguf[0] };
  if (packed.length === 1 && gguf.length === 0) return packed[0];
  if (packed.length + gguf.length > 1) {
    const models = [...packed.map(({ name }) => name), ...gguf.map(({ path }) => lastPart(path))]
      .slice(0, 5)
      .join(', ');
    throw new UsageError('load', `these files are several models: expected one, got ${models}. Drop the files of one.`);
  }
  const got =
    files.length === 0
      ? 'none'
      : files
          .map(({ path }) => lastPart(path))
          .slice(0, 5)
          .join(', ');
  const expected = 'one .gguf file, or config.json, tokenizer.json and model.safetensors of a packed model';
  throw new UsageError(
    'load',
    `these files are no model: expected ${expected}, got ${got}. Drop all files of one model together.`,
  );
}

/** The model that the files of one folder make; none where they are not complete. */
function packedIn(folder: string, files: readonly ByteSource[]): ModelBytes[] {
  const named = (name: string) => files.find(({ path }) => path === folder + name);
  const [config, tokenizer, model] = ['config.json', 'tokenizer.json', 'model.safetensors'].map(named);
  if (!config || !tokenizer || !model) return [];
  const name = folder.split('/').at(-2) ?? 'dropped model';
  const tokenizerConfig = named('tokenizer_config.json') ?? null;
  return [{ kind: 'packed', name, config, tokenizer, tokenizerConfig, model }];
}

/** With the slash behind it; '' where there is none. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
