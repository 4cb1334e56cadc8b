/** filesOfModel: which of some files, dropped on a page, make a model: a .gguf file, or those of a packed model, by their names. */

import type { ByteSource } from '../formats/byte-source.ts';
import type { ModelBytes } from '../load/open-model-bytes.ts';
import { UsageError } from '../util/errors.ts';

/** The path of a source is its name, or where it lay in a folder. Throws UsageError that says what is missing. */
export function filesOfModel(files: readonly ByteSource[]): ModelBytes {
  const named = (name: string) => files.find(({ path }) => path === name || path.endsWith(`/${name}`));
  const gguf = files.filter(({ path }) => path.endsWith('.gguf'));
  if (gguf.length === 1) return { kind: 'gguf', name: lastPart(gguf[0].path), model: gguf[0] };
  const [config, tokenizer, model] = ['config.json', 'tokenizer.json', 'model.safetensors'].map(named);
  if (config && tokenizer && model) {
    const folder = model.path.split('/').at(-2);
    const tokenizerConfig = named('tokenizer_config.json') ?? null;
    return { kind: 'packed', name: folder ?? 'dropped model', config, tokenizer, tokenizerConfig, model };
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

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
