import { expect, it } from 'vitest';
import type { Backend } from '../backend.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { preset, resolveConfig } from '../index.ts';
import { BackendError } from '../util/errors.ts';
import { Workspace } from './workspace.ts';

it('has logits again after a time without memory for more of them', () => {
  const inner = createReferenceBackend();
  let isFull = false;
  const backend: Backend = {
    ...inner,
    allocate(...request) {
      if (isFull) throw new BackendError('test', 'no memory');
      return inner.allocate(...request);
    },
  };
  const config = resolveConfig(preset('tiny'));
  const workspace = new Workspace(config, 16, 1, backend);
  isFull = true;
  expect(() => workspace.logits(16)).toThrow(BackendError);
  isFull = false;
  expect(workspace.logits(1).shape).toEqual([1, config.vocabSize]);
  workspace.free();
});
