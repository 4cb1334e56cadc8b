import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTinyRun, type TinyRun } from '../../../test/support/tiny-checkpoint.ts';
import { FormatError, UsageError } from '../../util/errors.ts';
import { openSource } from '../shared/open-source.ts';
import { openOrigin, originOf, refuseOtherModel } from './run-origin.ts';

let run: TinyRun;
beforeAll(() => {
  run = createTinyRun();
});
afterAll(() => run.remove());

function origin() {
  const source = openSource(run.directory, 'test');
  source.close();
  return originOf(run.directory, source);
}

describe('the model that a run began with', () => {
  it('is known by the name that it was given and by where it was found', () => {
    const began = origin();
    expect(began).toMatchObject({
      given: run.directory,
      path: join(run.directory, 'checkpoints/step-000007'),
      step: 7,
    });
    for (const given of [undefined, began.given, began.path])
      expect(() => refuseOtherModel(given, began, 'r')).not.toThrow();
    expect(() => refuseOtherModel('other', began, 'run.json')).toThrow(UsageError);
    expect(() => refuseOtherModel('other', began, 'run.json')).toThrow(`run.json has ${run.directory}, got other`);
  });

  it('is refused where its weights are others', () => {
    const began = origin();
    openOrigin(began, 'test').close();
    const file = join(began.path, 'model.safetensors');
    copyFileSync(file, `${file}.kept`);
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(file, bytes);
    expect(() => openOrigin(began, 'test')).toThrow(FormatError);
    expect(() => openOrigin(began, 'test')).toThrow(/has other weights than when the run began with it/);
    const { weights: _unknown, ...before } = began;
    openOrigin(before, 'test').close();
    copyFileSync(`${file}.kept`, file);
  });
});
