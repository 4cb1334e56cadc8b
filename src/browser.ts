/**
 * The package's entry in browsers: what `import ... from 'qsparse'` gives where a bundler builds for a page (the condition "browser" of package.json).
 *
 *     import { load } from 'qsparse';
 *     const model = await load('https://example.org/models/book/');
 *     for await (const { text } of model.generate('Once upon a time')) document.body.append(text);
 *
 * `load` runs the engine in a Worker and has the names and shapes of Node's. Training, files and the command line need Node: index.ts.
 */

export { load, type ModelInput, type NamedBlob } from './browser/load.ts';
export { type CachedFile, cachedFiles, removeCachedFile } from './browser/model-cache.ts';
export type { ChatMessage } from './chat/chat-template.ts';
export type { FinishReason } from './infer/generation.ts';
export type {
  LoadOptions,
  LoadProgress,
  PartsMs,
  TextModel,
  TextModelInfo,
  TextOptions,
  TextPiece,
  TextPrompt,
  TextSummary,
} from './load/text-model.ts';
export type { ModelConfig, Point } from './model/config.ts';
export type { SparsityOverride } from './model/sparsity-override.ts';
// ---- the scaling law
export { type AnalyseOptions, analyseLaw, type LawAnalysis } from './scaling/analyse-law.ts';
export { type FitOptions, fitLaw, type LawFit } from './scaling/fit-law.ts';
export {
  FORM_NAMES,
  type FormName,
  type LawConstants,
  type LawForm,
  type LawPoint,
  lawForm,
  lawLoss,
} from './scaling/law-form.ts';
export { type LawRun, readLawRuns } from './scaling/law-runs.ts';
export {
  type Choice,
  type Cost,
  cheapest,
  lossOverDense,
  optimalSparsity,
  parametersSaved,
} from './scaling/optimal-sparsity.ts';
// ---- errors
export { BackendError, BusyError, FormatError, QSparseError, ShapeError, UsageError } from './util/errors.ts';
