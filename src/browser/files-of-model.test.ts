import { describe, expect, it } from 'vitest';
import { memorySource } from '../formats/byte-source.ts';
import { BusyError, FormatError, UsageError } from '../util/errors.ts';
import { filesOfModel } from './files-of-model.ts';
import { receiveError, sendError } from './protocol.ts';

const files = (...paths: string[]) => paths.map((path) => memorySource(new Uint8Array(0), path));

describe('filesOfModel', () => {
  it('finds the files of a packed model among others, in a folder or not', () => {
    const found = filesOfModel(
      files('book/model.safetensors', 'book/readme', 'book/config.json', 'book/tokenizer.json'),
    );
    expect(found).toMatchObject({ kind: 'packed', name: 'book', tokenizerConfig: null });
    const flat = filesOfModel(files('config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'));
    expect(flat).toMatchObject({ name: 'dropped model', tokenizerConfig: { path: 'tokenizer_config.json' } });
    expect(filesOfModel(files('a/b.gguf'))).toMatchObject({ kind: 'gguf', name: 'b.gguf' });
  });

  it('takes the files of one folder, and refuses those of several models', () => {
    const of = (folder: string, ...more: string[]) =>
      ['config.json', 'tokenizer.json', 'model.safetensors', ...more].map((name) => `${folder}${name}`);
    const beside = filesOfModel(files(...of('m/a/'), 'm/b/tokenizer_config.json', 'm/b/config.json'));
    expect(beside).toMatchObject({ name: 'a', tokenizerConfig: null, config: { path: 'm/a/config.json' } });
    const two = () => filesOfModel(files(...of('m/a/'), ...of('m/b/', 'tokenizer_config.json')));
    expect(two).toThrow(/these files are several models: expected one, got a, b\. Drop the files of one/);
    expect(() => filesOfModel(files(...of('a/'), 'a/b.gguf'))).toThrow(/got a, b\.gguf/);
  });

  it('says what is missing', () => {
    expect(() => filesOfModel([])).toThrow(UsageError);
    expect(() => filesOfModel(files('a/config.json', 'a/model.safetensors'))).toThrow(
      /expected one \.gguf file, or config\.json, tokenizer\.json and model\.safetensors .* got config\.json, model\.safetensors/,
    );
    expect(() => filesOfModel(files('a.gguf', 'b.gguf'))).toThrow(/several models: expected one, got a\.gguf, b\.gguf/);
  });
});

describe('errors between threads', () => {
  it('keep class and message', () => {
    for (const error of [new UsageError('a', 'x.'), new BusyError('b', 'y.'), new FormatError('c', 'z.', 'file')]) {
      const received = receiveError(structuredClone(sendError(error)));
      expect(received).toBeInstanceOf(error.constructor);
      expect(received.message).toBe(error.message);
    }
    expect(receiveError(sendError(new TypeError('plain'))).message).toBe('plain');
    expect(receiveError({ name: 'constructor', message: 'm', where: 'w' })).toBeInstanceOf(Error);
  });
});
