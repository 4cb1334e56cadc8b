/** A MODEL of the command as a source of the server: opened into the backend's memory, with an engine and a scheduler around it. */

import type { Backend } from '../../backend.ts';
import type { ChatForm } from '../../chat/chat-form.ts';
import { openModel } from '../../import/open-model.ts';
import { Engine } from '../../infer/engine.ts';
import { Scheduler } from '../../infer/scheduler.ts';
import { KernelParts } from '../../load/kernel-parts.ts';
import type { LoadedModel } from '../../model/load-model.ts';
import { type SparsityOverride, selectionRules } from '../../model/sparsity-override.ts';
import type { ModelSource, ServedModel } from '../../server/served-model.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { tokenizerOfModel } from '../../tokenizer/tokenizer-of-model.ts';
import { chatForm } from '../shared/chat-form.ts';
import { describeModel, type EngineSize } from './describe-model.ts';

export interface ServeModelOptions extends EngineSize {
  readonly maxQueued: number;
  /** plain, or a file with a template, in place of the model's own. */
  readonly template: string | undefined;
  /** In place of the model's own, where a request says none. */
  readonly sparsity: SparsityOverride | undefined;
}

export function modelSource(id: string, path: string, backend: Backend, options: ServeModelOptions): ModelSource {
  return {
    id,
    describe: () => describeModel(path, options, options.template !== undefined),
    open: () => {
      const model = openModel(path, backend);
      try {
        return served(id, model, backend, options);
      } catch (error) {
        model.dispose();
        throw error;
      }
    },
  };
}

function served(id: string, model: LoadedModel, backend: Backend, options: ServeModelOptions): ServedModel {
  const { contextTokens: most, maxSequences, kvType, maxQueued, template, sparsity } = options;
  const { config, weights } = model;
  const tokenizer = tokenizerOfModel(model);
  const form = formOf(template, tokenizer, id);
  if (sparsity !== undefined) selectionRules(config, sparsity);
  const maxTokens = Math.min(most, config.seqLen);
  const clock = new KernelParts(backend, weights.head);
  const engine = new Engine(config, weights, clock.backend, { maxTokens, maxSequences, kvType });
  const scheduler = new Scheduler(engine, { maxQueued });
  return {
    config,
    vocabSize: config.vocabSize,
    contextTokens: maxTokens,
    tokenizer,
    chatForm: form,
    scheduler,
    defaultSparsity: sparsity,
    partTimes: () => clock.timesMs,
    bytes: model.bytes + engine.bytes,
    dispose() {
      scheduler.dispose();
      engine.dispose();
      model.dispose();
    },
  };
}

/** null where the model has no template of its own, and none was given. Messages call the model by its id, because clients see them. */
function formOf(template: string | undefined, tokenizer: Tokenizer, id: string): ChatForm | null {
  if (template === undefined && (tokenizer.config?.chat_template ?? null) === null) return null;
  return chatForm(template, tokenizer.config, `"${id}"`);
}
