/**
 * The package's entry: what a program needs to train, load, measure and run a model without the command line.
 *
 *     import { Engine, generateText, loadBackend, loadModel, Sampler, tokenizerOfModel } from 'qsparse';
 *
 *     const backend = await loadBackend(); // native where it was built, else wasm
 *     const model = loadModel('runs/book', backend); // a run or a checkpoint directory
 *     const engine = new Engine(model.config, model.weights, backend);
 *     const options = { sampler: new Sampler({ temperature: 0.8, seed: 1 }), maxTokens: 100 };
 *     for await (const piece of generateText(engine, tokenizerOfModel(model), 'Once', options)) process.stdout.write(piece);
 *     engine.dispose();
 *     model.dispose();
 *     backend.dispose();
 *
 * Whole programs: examples/. What is not exported here may change without notice.
 */

// ---- backends, memory and tensors
export { Arena } from './arena.ts';
export type { Activation, Backend, BackendName, Kernels, Precision } from './backend.ts';
export { type LoadBackendOptions, loadBackend } from './backends/load-backend.ts';
export { createReferenceBackend } from './backends/reference/reference-backend.ts';
// ---- text
export { type ChatMessage, ChatTemplate } from './chat/chat-template.ts';
// ---- evaluation
export { findData } from './eval/data/find-data.ts';
export { readRows } from './eval/data/read-rows.ts';
export { RecordsFile } from './eval/data/records-file.ts';
export { loadTask, taskNames } from './eval/data/task-files.ts';
export {
  type EvalRecord,
  type EvaluateOptions,
  evaluate,
  type PreparedTask,
  type RecordStore,
  type TaskResult,
} from './eval/evaluate.ts';
export type { Mean } from './eval/metrics.ts';
export { describeProtocol, type Perplexity, type PerplexityProtocol } from './eval/perplexity.ts';
export { longestOf, prepareAnswers, prepareChoices, prepareText } from './eval/prepare.ts';
export type { EvalTokenizer, Scored, ScoreRequest } from './eval/score-request.ts';
export { type ScoreOptions, scoreRequests } from './eval/score-requests.ts';
export { parseTask, type Task } from './eval/task.ts';
export { type ChoiceItem, type GenerateItem, itemsOf, type SourceRow } from './eval/task-items.ts';
// ---- models for other programs
export { type ExportSource, exportSourceOf, openExportSource } from './export/export-source.ts';
export type { GgufArchitecture, GgufExportType } from './export/gguf-architecture.ts';
export type { HfType } from './export/make-hf-config.ts';
export { type GgufOptions, type GgufReport, writeGguf } from './export/write-gguf.ts';
export { type HuggingFaceOptions, type HuggingFaceReport, writeHuggingFace } from './export/write-hugging-face.ts';
// ---- files
export {
  type Checkpoint,
  type CheckpointFiles,
  findCheckpoint,
  readCheckpoint,
  type SaveOptions,
  saveCheckpoint,
} from './formats/checkpoint-directory.ts';
export { lockRunDirectory } from './formats/run-lock.ts';
export {
  openSafetensors,
  readSafetensorsHeader,
  type SafetensorsFile,
  type TensorData,
  type TensorEntry,
  writeSafetensors,
} from './formats/safetensors.ts';
export type { SafetensorsDType, SafetensorsHeader, TensorInfo } from './formats/safetensors-header.ts';
// ---- structured output
export { constrainTokens } from './grammar/constrain-tokens.ts';
export { GrammarVocabulary } from './grammar/grammar-vocabulary.ts';
export { compileJsonSchema, type JsonGrammar } from './grammar/json-grammar.ts';
// ---- models of other programs
export type { ForeignFormat, ForeignModel, ForeignText } from './import/foreign-model.ts';
export { isForeign, openForeign, openModel } from './import/open-model.ts';
// ---- inference
export { decodeText, type TextDecoding } from './infer/decode-text.ts';
export { Engine, type EngineOptions } from './infer/engine.ts';
export { type GenerateTextOptions, generateText, type TextResult } from './infer/generate-text.ts';
export { type GenerateOptions, generateTokens } from './infer/generate-tokens.ts';
export type { FinishReason, GeneratedToken, GenerationOptions } from './infer/generation.ts';
export { logprobsOf, type TokenLogprob, type TokenLogprobs } from './infer/logprobs.ts';
export { type MeasureStepCostOptions, measureStepCost } from './infer/measure-step-cost.ts';
export { type AllowedTokens, argmax, type Logits, Sampler, type SamplerOptions } from './infer/sampler.ts';
export { Scheduler, type SchedulerOptions } from './infer/scheduler.ts';
export { SingleSequence } from './infer/single-sequence.ts';
export { type DraftHistory, Speculation, type SpeculationOptions } from './infer/speculation.ts';
export type { BatchItem, SequenceOptions, TokenModel, TokenSequence } from './infer/token-model.ts';
export type { TokenStream, Usage } from './infer/token-queue.ts';
export type { ProjectionPart, ZeroCounts } from './infer/zero-counts.ts';
// ---- a model that writes text, in one line
export { load } from './load/load.ts';
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
// ---- the model
export {
  featuresAt,
  ffnsPerToken,
  keptCount,
  type ModelConfig,
  outputsAt,
  POINTS,
  type Point,
  RESCALES,
  type Rescale,
  type RopeScaling,
  SPARSIFIERS,
  type Sparsifier,
  type Sparsity,
  sparsityAt,
  THRESHOLD_PLACES,
  type Threshold,
  type ThresholdPlace,
  thresholdAt,
} from './model/config.ts';
export {
  activatedParameters,
  blockParameters,
  configuredSparsity,
  denseForwardFlops,
  denseTrainingFlops,
  matmulParameters,
  modelSparsity,
  type PassShape,
  parametersAt,
  type SparsityTable,
  unroutedParameters,
} from './model/flops.ts';
export { fromHfWeights, type NamedArray, toHfWeights } from './model/hf-weights.ts';
export type { InitialParameters } from './model/initial-parameters.ts';
export {
  type LoadedModel,
  type LoadedParameters,
  type LoadModelOptions,
  loadModel,
  loadParameters,
  type WeightTypes,
} from './model/load-model.ts';
export type { PackOptions } from './model/pack-plan.ts';
export { packWeights, type WeightSource } from './model/pack-weights.ts';
export type { FeedForwardLayout } from './model/packed-matrices.ts';
export { type ParameterSource, sourceOfCheckpoint } from './model/parameter-source.ts';
export { countParameters, describeParameters, type Parameter, type ParameterInfo } from './model/parameters.ts';
export { PRESETS, preset } from './model/presets.ts';
export { type ModelConfigInput, resolveConfig } from './model/resolve-config.ts';
export type { SparsityOverride } from './model/sparsity-override.ts';
export { StepStatistics } from './model/statistics.ts';
export { ThresholdCalibration, withoutSparsifier } from './model/threshold-calibration.ts';
export {
  type BatchShape,
  type LossTerms,
  type PassOptions,
  type StepOptions,
  Transformer,
} from './model/transformer.ts';
export {
  type FeedForwardWeights,
  type FfnWeights,
  type LayerWeights,
  type MixtureWeights,
  type ModelWeights,
  weightsOfParameters,
} from './model/weights.ts';
export { type WriteCheckpointOptions, writeCheckpoint } from './model/write-checkpoint.ts';
export {
  type PackedMatrixReport,
  type PackReport,
  type WritePackedOptions,
  writePackedModel,
} from './model/write-packed-model.ts';
// ---- the scaling law: these run in a page too
export { type AnalyseOptions, analyseLaw, type LawAnalysis } from './scaling/analyse-law.ts';
export { type Bootstrap, bootstrapLaw } from './scaling/bootstrap-law.ts';
export { type CrossValidation, crossValidate } from './scaling/cross-validate.ts';
export { type FitOptions, fitLaw, type LawFit } from './scaling/fit-law.ts';
export {
  FORM_NAMES,
  type FormName,
  type LawConstants,
  type LawForm,
  type LawInput,
  type LawPoint,
  lawForm,
  lawLoss,
  PRINTED_CONSTANTS,
  PRINTED_SIZE_UNIT,
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
export { type OptimumProfile, profileOptimum } from './scaling/profile-optimum.ts';
export { SpeedCurve, type SpeedPoint } from './scaling/speed-curve.ts';
export type { KvType } from './tensor/kv-slots.ts';
export { type BlockPlaces, type BlockRows, density, nonZeros, type SparseRows } from './tensor/sparse-rows.ts';
export { type DType, type FloatTensor, type FloatType, type IntTensor, type Tensor, view } from './tensor/tensor.ts';
export { f32Weights, WEIGHT_TYPES, type WeightMatrix, type WeightType } from './tensor/weight-matrix.ts';
export { TensorPool } from './tensor-pool.ts';
export { type GgufMetadata, tokenizerOfGguf } from './tokenizer/gguf-tokenizer.ts';
export { readLlama2cTokenizer } from './tokenizer/llama2c-tokenizer.ts';
export { readSentencePieceModel } from './tokenizer/sentencepiece-model.ts';
export { type DecodeStream, Tokenizer } from './tokenizer/tokenizer.ts';
export { readTokenizerConfig, type TokenizerConfig, type TokenizerFiles } from './tokenizer/tokenizer-config.ts';
export type { TokenizerJson } from './tokenizer/tokenizer-json.ts';
export { type ModelText, tokenizerOfModel } from './tokenizer/tokenizer-of-model.ts';
export { END_OF_TEXT, type TrainBpeOptions, trainBpe } from './tokenizer/train-bpe.ts';
// ---- training
export { AdamW, type AdamWOptions, type OptimizerState } from './train/adamw.ts';
export { progressOf, restoreTrainer, saveTrainer } from './train/checkpointing.ts';
export type {
  DetailRecord,
  MetricsRecord,
  RouterRecord,
  RunRecord,
  SampleRecord,
  StepRecord,
  ValidationRecord,
} from './train/metrics.ts';
export { type PrepareOptions, prepareTokenData, type TokenDataInfo } from './train/prepare-token-data.ts';
export { holdsRun, type RunSettings, readRunSettings, runPaths } from './train/run-directory.ts';
export { openTextSource, type TextChunk, type TextSource, type TextSourceOptions } from './train/text-source.ts';
export { type TokenBatch, TokenData } from './train/token-data.ts';
export { resolveTrainConfig, type TrainConfig, type TrainConfigInput } from './train/train-config.ts';
export {
  type RunOptions,
  type RunOutcome,
  Trainer,
  type TrainerHooks,
  type TrainerOptions,
  type TrainingData,
  type TrainingProgress,
} from './train/trainer.ts';
export { TrainingRun, type TrainingRunOptions } from './train/training-run.ts';
// ---- errors: one class for each kind of cause, all of them QSparseError
export {
  BackendError,
  BusyError,
  FormatError,
  QSparseError,
  ShapeError,
  TrainingError,
  UsageError,
} from './util/errors.ts';
