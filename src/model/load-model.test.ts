import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createTinyRun, type TinyRun } from '../../test/support/tiny-checkpoint.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { FormatError } from '../util/errors.ts';
import { loadModel } from './load-model.ts';

const runs: TinyRun[] = [];
afterEach(() => {
  for (const run of runs.splice(0)) run.remove();
});

function create(): TinyRun {
  const run = createTinyRun();
  runs.push(run);
  return run;
}

const checkpointOf = (run: TinyRun): string => join(run.directory, 'checkpoints', 'step-000007');

describe('loadModel', () => {
  it('gives the weights that were saved, bit by bit', () => {
    const run = create();
    const model = loadModel(run.directory, createReferenceBackend());
    expect(model.config).toEqual(run.model.config);
    expect(model.step).toBe(7);
    expect([...model.parameters.keys()]).toEqual(run.model.parameters.map(({ name }) => name));
    for (const { name, value } of run.model.parameters) expect(model.parameters.get(name)?.data).toEqual(value.data);
    expect(model.bytes).toBe(run.model.parameters.reduce((sum, { value }) => sum + value.data.byteLength, 0));
  });

  it('takes a checkpoint directory as well as a run', () => {
    const path = checkpointOf(create());
    expect(loadModel(path, createReferenceBackend()).path).toBe(path);
  });

  it('names the tensor where config.json belongs to other weights', () => {
    const run = create();
    const path = join(checkpointOf(run), 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as object;
    // The same length, since the sizes of the files are checked first.
    writeFileSync(path, `${JSON.stringify({ ...config, hiddenDim: 96 }, null, 2)}\n`);
    expect(() => loadModel(run.directory, createReferenceBackend())).toThrow(FormatError);
    expect(() => loadModel(checkpointOf(run), createReferenceBackend())).toThrow(
      'layers.0.gateUp: expected F32 [32, 192], got F32 [32, 128]',
    );
  });

  it('refuses a truncated or lengthened checkpoint and a configuration that is none', () => {
    const run = create();
    appendFileSync(join(checkpointOf(run), 'model.safetensors'), 'x');
    expect(() => loadModel(checkpointOf(run), createReferenceBackend())).toThrow(FormatError);
    const other = create();
    const path = join(checkpointOf(other), 'config.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"nHeads": 2', '"nHeads": 0'));
    expect(() => loadModel(checkpointOf(other), createReferenceBackend())).toThrow('nHeads must be');
    expect(() => loadModel(checkpointOf(other), createReferenceBackend())).toThrow(FormatError);
  });
});
