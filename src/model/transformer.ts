/**
 * The model: a Llama-style transformer whose projections all read sparse inputs (Q-Sparse), forward and backward.
 *
 * This is the page to read first. `#hiddenStates` and `#layer` are the whole forward pass in execution order; each op they apply has its
 * formula and its gradient in `ops/`, and the tape runs those gradients in reverse. Sparsity 0 is a dense model: the
 * same lines, with plain products.
 *
 * Not here: how zeros are skipped (`ops/linear.ts`), how weights are updated (`train/`), decoding with a cache (`infer/`).
 * Sources: Llama (arXiv 2302.13971), Q-Sparse (arXiv 2407.10969).
 */

import { type Observer, within } from '../autograd/observer.ts';
import type { Weight } from '../autograd/parameter.ts';
import { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import type { ZeroSkips } from '../autograd/zero-skips.ts';
import type { Backend, Precision } from '../backend.ts';
import { type MixtureOptions, mixture } from '../nn/mixture.ts';
import { qSparseInput, qSparseLinear, type Selection, wantedForm } from '../nn/q-sparse-linear.ts';
import { tokenLoss } from '../nn/token-loss.ts';
import { add } from '../ops/add.ts';
import { addBias } from '../ops/add-bias.ts';
import { attention } from '../ops/attention.ts';
import { type CrossEntropyInput, countTargets, type Teacher, type TokenLoss } from '../ops/cross-entropy.ts';
import { embedding } from '../ops/embedding.ts';
import { gatedHidden, hasNaturalZeros, sumOfMagnitudes } from '../ops/gated-hidden.ts';
import type { LogitPruning } from '../ops/head-gradients.ts';
import { headNorms } from '../ops/head-norms.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { type RotationTables, rope } from '../ops/rope.ts';
import type { Routing } from '../ops/route-tokens.ts';
import type { SelectionRule } from '../ops/sparsify.ts';
import type { FloatTensor, FloatType, IntTensor } from '../tensor/tensor.ts';
import { TensorPool } from '../tensor-pool.ts';
import { ShapeError, UsageError } from '../util/errors.ts';
import { AdaptedWeights, type Lora } from './adapted-weights.ts';
import type { ModelConfig, Point } from './config.ts';
import { initParameters } from './init.ts';
import { type InitialParameters, readInitialParameters } from './initial-parameters.ts';
import type { MultipliedFfn, MultipliedLayer } from './multiplied-weights.ts';
import {
  createParameters,
  isTrained,
  type ModelParameters,
  type Parameter,
  type TrainedParameter,
} from './parameters.ts';
import { ropeTables } from './rope-tables.ts';
import { gateThreshold, selectionRule } from './selection-rule.ts';
import { StepStatistics } from './statistics.ts';
import { TernaryWeights } from './ternary-weights.ts';

/** ids and targets are [batch * seqLen], one sequence after the other. */
export interface BatchShape {
  batch: number;
  seqLen: number;
  /**
   * Where several texts stand in one sequence: of each token the index in its sequence at which its text begins, [batch * seqLen]. Tokens see their
   * own text only and their positions count from its beginning, so that it is as if it stood alone.
   */
  starts?: IntTensor | undefined;
}

export interface PassOptions {
  /** Multiplies the sparsity (or the threshold) of every point, 0 (dense) .. 1: for a schedule. */
  sparsityScale?: number;
  /** Multiplies the coefficient of the L1 term, 0 .. 1: for a schedule. */
  l1Scale?: number;
  /** Is given the counts of this pass. */
  statistics?: StepStatistics;
  /**
   * What the products of projections and of the head multiply, forward and backward; f32 by default. Attention, norms, softmax, loss
   * and the residual stream are f32 in both, gradients and weights too.
   */
  precision?: Precision;
  /** Zeros that are not to be skipped, for measurements. */
  skips?: Partial<ZeroSkips>;
  /**
   * The parameters are those of the last pass of this model, so that what is made of them (ternary or merged weights) still holds: for all but the
   * first of accumulated batches. By default it is made anew.
   */
  sameParameters?: boolean;
  /** Is told where the pass is and what it holds. */
  observer?: Observer | undefined;
}

/** A model of the same vocabulary that another one learns from, on the same tokens. */
export interface Distillation {
  teacher: Transformer;
  /** Share of the loss, in (0, 1], and temperature of both softmaxes. */
  weight: number;
  temperature: number;
}

export interface LayerOptions extends PassOptions {
  rules?: Readonly<Record<Point, SelectionRule>>;
}

export interface StepOptions extends PassOptions {
  /** The gradients are those of gradientScale * (loss + l1 + router): 1 / n for n accumulated batches. */
  gradientScale?: number;
  /** Keep only the input of each half of a block and run it forward again for the gradients: less memory, more time. */
  recompute?: boolean;
  /** The loss is (1 - weight) cross-entropy + weight temperature^2 KL (`ops/cross-entropy.ts`). */
  distillation?: Distillation | null;
  /** Which gradients of logits are left to chance (`ops/head-gradients.ts`); null, the default: none. */
  logitPruning?: LogitPruning | null;
}

export interface TransformerOptions {
  /** Of fresh weights and adapters. */
  seed: number;
  dtype?: FloatType;
  pool?: TensorPool;
  /** The values that it begins with; fresh ones by default. */
  initial?: InitialParameters | undefined;
  /** Train adapters in the place of the parameters. */
  lora?: Lora | null;
  /** Without gradients: a teacher. */
  frozen?: boolean;
}

/** One run through the model: its options with defaults, and what it adds up. */
interface Pass extends BatchShape {
  /** Of each token in its text, [N]. */
  positions: IntTensor;
  /** Index in its sequence of the first token that each token sees, [N]; null: all before it. */
  firstKeys: IntTensor | null;
  gradientScale: number;
  sparsityScale: number;
  l1Scale: number;
  /** In the place of those of the configuration; null: those. */
  rules: Readonly<Record<Point, SelectionRule>> | null;
  statistics: StepStatistics | null;
  l1: number;
  router: number;
  backwardMs: number;
}

/** The terms of the loss that is differentiated. */
export interface LossTerms {
  /** Mean cross-entropy, nats. */
  loss: number;
  /** hiddenL1 times the L1 term. */
  l1: number;
  /** Load balance and z-loss of the routers, times their coefficients. */
  router: number;
  /** Mean divergence from the teacher times temperature^2, nats; 0 without one. */
  divergence: number;
}

export class Transformer {
  readonly config: ModelConfig;
  readonly backend: Backend;
  readonly pool: TensorPool;
  readonly dtype: FloatType;
  /** What a checkpoint holds: all parameters in the order of the forward pass, and behind them the adapters. */
  readonly stored: readonly Parameter[];
  /** What is trained of it. */
  readonly parameters: readonly TrainedParameter[];

  readonly #weights: ModelParameters;
  /** null where all parameters are trained. */
  readonly #adapted: AdaptedWeights | null;
  /** What projections multiply, made of the parameters before each step; null where that is the parameters themselves. */
  readonly #made: TernaryWeights | AdaptedWeights | null;
  readonly #rotation: RotationTables;

  /**
   * A model with fresh weights (`initParameters`), or with those of `initial`; f64 is for the reference backend. The pool may be shared. Throws
   * UsageError for an `initial` of another shape and for adapters of ternary weights, FormatError where `initial` cannot be read.
   */
  static create(config: ModelConfig, backend: Backend, options: TransformerOptions): Transformer {
    const model = new Transformer(config, backend, options);
    const { list } = model.#weights;
    if (options.initial) readInitialParameters(list, config, options.initial);
    else initParameters(list, config, options.seed);
    model.#adapted?.initialise(options.seed);
    return model;
  }

  private constructor(config: ModelConfig, backend: Backend, options: TransformerOptions) {
    const { pool = new TensorPool(backend), dtype = 'f32', lora = null, frozen = false } = options;
    if (lora !== null && config.weightFormat === 'ternary') {
      throw new UsageError(
        'Transformer',
        'adapters are for weights of float: ternary ones cannot be merged with them. Train all of them.',
      );
    }
    this.config = config;
    this.backend = backend;
    this.pool = pool;
    this.dtype = dtype;
    this.#weights = createParameters(config, pool, dtype, { frozen: frozen || lora !== null });
    this.#adapted = lora === null ? null : new AdaptedWeights(this.#weights, pool, dtype, lora);
    this.#made = this.#adapted ?? (config.weightFormat === 'ternary' ? new TernaryWeights(this.#weights, pool) : null);
    this.stored = [...this.#weights.list, ...(this.#adapted?.parameters ?? [])];
    this.parameters = this.stored.filter(isTrained);
    const tables = ropeTables(config, config.seqLen);
    this.#rotation = {
      cos: pool.take(dtype, [config.seqLen, config.headDim / 2]),
      sin: pool.take(dtype, [config.seqLen, config.headDim / 2]),
    };
    this.#rotation.cos.data.set(tables.cos);
    this.#rotation.sin.data.set(tables.sin);
  }

  /**
   * One forward and backward pass. The gradients of the mean cross-entropy (nats, over targets other than -1), of the L1 term and of
   * the routers' terms are ADDED to those of the parameters. Returns all of them without gradientScale. Throws ShapeError.
   */
  lossAndGradients(ids: IntTensor, targets: IntTensor, shape: BatchShape, options: StepOptions = {}): LossTerms {
    const { distillation, logitPruning: pruning = null } = options;
    const teacher = distillation ? teach(distillation, ids, shape, options) : null;
    try {
      if (this.parameters.length === 0) {
        throw new ShapeError('Transformer', 'a frozen model has no gradients: expected one that is trained.');
      }
      return this.#runAll(true, ids, shape, options, (tape, hidden, pass) => {
        if (pass.statistics) pass.statistics.targets += countTargets(targets);
        const losses = within(options.observer, 'phase', 'loss', () =>
          this.#tokenLoss(tape, hidden, { targets, gradientScale: pass.gradientScale, teacher, pruning }),
        );
        const beginMs = performance.now();
        within(options.observer, 'phase', 'backward', () => tape.backward());
        pass.backwardMs = performance.now() - beginMs;
        return { ...losses, l1: pass.l1, router: pass.router };
      });
    } finally {
      if (teacher) distillation?.teacher.pool.release(teacher.hidden);
    }
  }

  /** The mean cross-entropy in nats, without gradients and with the memory of one block. */
  loss(ids: IntTensor, targets: IntTensor, shape: BatchShape, options: PassOptions = {}): number {
    return this.#runAll(false, ids, shape, options, (tape, hidden) => {
      return this.#tokenLoss(tape, hidden, { targets, gradientScale: 1 }).loss;
    });
  }

  /** [N, dim] after the final norm, from the pool: the caller releases them. With `head` all that logits need. */
  hidden(ids: IntTensor, shape: BatchShape, options: PassOptions = {}): FloatTensor {
    return this.#runAll(false, ids, shape, options, (tape, hidden) => {
      const copy = this.pool.take(this.dtype, hidden.shape);
      tape.kernels.copy(hidden.dense!, copy);
      return copy;
    });
  }

  /**
   * One layer alone: x [N, dim], what comes into it, -> what it hands on, from the pool: the caller releases it. `rules` stand in the place of
   * those of the configuration. Throws ShapeError.
   */
  layerOutput(layer: number, x: FloatTensor, shape: BatchShape, options: LayerOptions = {}): FloatTensor {
    this.#checkShape('x', x.shape[0], shape);
    if (this.#weights.layers[layer] === undefined) {
      throw new ShapeError('Transformer', `layer: expected one of ${this.config.nLayers}, got ${layer}.`);
    }
    return this.#run(false, shape, options, {
      forward: (tape, pass) => {
        const dense = tape.take(x.shape);
        tape.kernels.copy(x, dense);
        const input = new Value([x.shape[0], x.shape[1]], { dense });
        return this.#layer(tape, input, (this.#made ?? this.#weights).layers[layer], layer, pass);
      },
      finish: (tape, output) => {
        const copy = this.pool.take(this.dtype, output.shape);
        tape.kernels.copy(output.dense!, copy);
        return copy;
      },
    });
  }

  /** [vocabSize, dim]: the embedding table, or an own head. */
  get head(): FloatTensor {
    return this.#weights.head.value;
  }

  /** logits [N, vocabSize] of every position, from the pool: the caller releases them. */
  logits(ids: IntTensor, shape: BatchShape, options: PassOptions = {}): FloatTensor {
    return this.#runAll(false, ids, shape, options, (tape, hidden) => {
      const logits = this.pool.take(this.dtype, [hidden.shape[0], this.config.vocabSize]);
      const { precision } = tape;
      tape.kernels.matmul(hidden.dense!, this.#weights.head.value, logits, { transposeB: true, precision });
      return logits;
    });
  }

  /**
   * What the products multiply, by the names of the parameters: the parameters themselves, or for a ternary or an adapted model the numbers made of
   * them as they are now, in memory of the model that its next pass writes again. For an Engine over the model in training.
   */
  multipliedParameters(): ReadonlyMap<string, FloatTensor> {
    const tape = new Tape(this.backend.kernels, this.pool, { dtype: this.dtype, recording: false });
    this.#made?.update(tape);
    tape.dispose();
    return new Map(
      this.#weights.list.map((parameter) => [parameter.name, this.#made?.of(parameter) ?? parameter.value]),
    );
  }

  /** The factor of the products of adapters; null where there are none. */
  get adapterScale(): number | null {
    return this.#adapted?.scale ?? null;
  }

  /** Gives all memory back to the pool; the model must not be used afterwards. */
  dispose(): void {
    for (const { value, gradient } of this.#weights.list) {
      this.pool.release(value);
      if (gradient) this.pool.release(gradient);
    }
    this.#made?.dispose();
    this.pool.release(this.#rotation.cos);
    this.pool.release(this.#rotation.sin);
  }

  /** ids [N] -> hidden states [N, D] after the final norm: the forward pass, in the order in which it happens. */
  #hiddenStates(tape: Tape, ids: IntTensor, pass: Pass): Value {
    let x = tape.apply(embedding, { ids, table: this.#weights.embedding }); // [N, D]
    for (const [index, layer] of (this.#made ?? this.#weights).layers.entries()) {
      x = this.#layer(tape, x, layer, index, pass);
    }
    return tape.scope(x, (x) => tape.apply(rmsNorm, { x, weight: this.#weights.norm, eps: this.config.normEps }));
  }

  /** One block: x [N, D] -> [N, D], both halves added to the residual stream. */
  #layer(tape: Tape, x: Value, layer: MultipliedLayer, index: number, pass: Pass): Value {
    const { nHeads, nKvHeads, headDim, normEps: eps } = this.config;
    const { batch, seqLen } = pass;
    const rotation = { nRotatedHeads: nHeads + nKvHeads, headDim };
    const shape = { batch, seqLen, nHeads, nKvHeads, headDim };
    const selection = (point: Point) => this.#selection(tape, pass, point, index);
    tape.enter('layer', `layer ${index}`);

    const attended = tape.scope(x, (x) => {
      const normed = tape.apply(rmsNorm, { x, weight: layer.attentionNorm, eps });
      const qkv = qSparseLinear(tape, normed, layer.qkv, selection('qkv')); // [N, (nHeads + 2 nKvHeads) headDim]
      const heads = this.#normedHeads(tape, this.#biased(tape, qkv, layer.qkvBias), layer);
      const rotated = tape.apply(rope, {
        ...{ qkv: heads, positions: pass.positions },
        ...{ tables: this.#rotation, shape: rotation },
      });
      const mixed = tape.apply(attention, { qkv: rotated, shape, firstKeys: pass.firstKeys }); // [N, nHeads headDim]
      const out = qSparseLinear(tape, this.#subNormed(tape, mixed, layer.attentionSubNorm), layer.o, selection('o'));
      return tape.apply(add, { a: x, b: out });
    });

    const output = tape.scope(attended, (x) => {
      const normed = tape.apply(rmsNorm, { x, weight: layer.ffnNorm, eps });
      tape.enter('point', 'gateUp');
      const input = qSparseInput(tape, normed, selection('gateUp'));
      tape.exit();
      const ffn = (input: Value, expert: number) =>
        this.#feedForward(tape, pass, input, layer.ffns[expert], { layer: index, expert });
      const out = layer.router
        ? mixture(tape, normed, input, this.#mixtureOptions(tape, pass, index, layer.router, ffn))
        : ffn(input, 0);
      return tape.apply(add, { a: x, b: out });
    });
    tape.exit();
    return output;
  }

  /** The gated FFN, or one expert, on its selected input: out [N, D]. */
  #feedForward(
    tape: Tape,
    pass: Pass,
    input: Value,
    { gateUp, subNorm, down }: MultipliedFfn,
    { layer, expert }: { layer: number; expert: number },
  ): Value {
    const { activation, hiddenL1 } = this.config;
    const atDown = this.#selection(tape, pass, 'down', layer, expert);
    // A channel that a ReLU behind the sub-norm closes is in the mean of squares all the same.
    const form = subNorm && atDown.rule.keeps === 'positive' ? 'dense' : wantedForm(atDown);
    const l1 = this.#l1Weight(pass) * pass.gradientScale;
    const gates = this.#gates(tape, pass, layer);
    tape.enter('point', 'gateUp');
    const hidden = tape.apply(gatedHidden, { x: input, weight: gateUp, activation, l1, form, ...gates }); // [N, H]
    tape.exit();
    if (hiddenL1 > 0 && !tape.recomputing) pass.l1 += this.#l1Weight(pass) * sumOfMagnitudes(tape, hidden);
    return qSparseLinear(tape, this.#subNormed(tape, hidden, subNorm), down, atDown);
  }

  #biased(tape: Tape, x: Value, bias: Weight | null): Value {
    return bias ? tape.apply(addBias, { x, bias }) : x;
  }

  #normedHeads(tape: Tape, qkv: Value, { qNorm, kNorm }: Pick<MultipliedLayer, 'qNorm' | 'kNorm'>): Value {
    if (qNorm === null || kNorm === null) return qkv;
    return tape.apply(headNorms, { qkv, qNorm, kNorm, eps: this.config.normEps, shape: this.config });
  }

  #subNormed(tape: Tape, x: Value, weight: Weight | null): Value {
    return weight ? tape.apply(rmsNorm, { x, weight, eps: this.config.normEps }) : x;
  }

  #mixtureOptions(
    tape: Tape,
    pass: Pass,
    layer: number,
    router: Weight,
    ffn: (input: Value, expert: number) => Value,
  ): MixtureOptions {
    const { nLayers, nExpertsPerToken, routerLoadBalance, routerZLoss } = this.config;
    const observe = (routing: Routing) => {
      pass.router += (routerLoadBalance * routing.loadBalance + routerZLoss * routing.z) / nLayers;
      pass.statistics?.observeRouting(layer, routing);
    };
    return {
      ...{ router, chosen: nExpertsPerToken, ffn },
      weights: {
        loadBalance: (pass.gradientScale * routerLoadBalance) / nLayers,
        z: (pass.gradientScale * routerZLoss) / nLayers,
      },
      ...(!tape.recomputing && { observe }),
    };
  }

  /** What happens to the input of one point of one layer, of one expert in a mixture. */
  #selection(tape: Tape, pass: Pass, point: Point, layer: number, expert = 0): Selection {
    const { config } = this;
    const { statistics } = pass;
    return {
      point,
      rule: pass.rules?.[point] ?? selectionRule(config, point, layer, { scale: pass.sparsityScale }),
      naturalZeros: point === 'down' && (hasNaturalZeros(config.activation) || this.#threshold(pass, layer) > 0),
      gradient: config.gradient,
      rescale: config.rescale[point],
      activationFormat: config.activationFormat,
      ...(statistics &&
        !tape.recomputing && { observe: (x, selected) => statistics.observe(tape, point, layer, x, selected, expert) }),
    };
  }

  /** What the gates of a layer are held against, and who looks at them. */
  #gates(tape: Tape, pass: Pass, layer: number) {
    const { statistics } = pass;
    const observeGates =
      statistics?.observeGates && !tape.recomputing
        ? (gateUp: FloatTensor) => statistics.observeGates!(layer, gateUp)
        : undefined;
    return { threshold: this.#threshold(pass, layer), observeGates };
  }

  #threshold({ sparsityScale }: Pass, layer: number): number {
    return gateThreshold(this.config, layer, sparsityScale);
  }

  #tokenLoss(
    tape: Tape,
    hidden: Value,
    { targets, ...options }: Omit<CrossEntropyInput, 'hidden' | 'head'>,
  ): TokenLoss {
    if (targets.data.length !== hidden.shape[0]) {
      throw new ShapeError('Transformer', `targets: expected [${hidden.shape[0]}], got [${targets.data.length}].`);
    }
    return tokenLoss(tape, { hidden, head: this.#weights.head, targets, ...options });
  }

  /** hiddenL1 * (mean over tokens and layers): the factor of sum |hidden|. */
  #l1Weight({ batch, seqLen, l1Scale }: Pass): number {
    return (l1Scale * this.config.hiddenL1) / (batch * seqLen * this.config.nLayers);
  }

  /** The whole forward pass; `finish` gets the hidden states. */
  #runAll<T>(
    recording: boolean,
    ids: IntTensor,
    shape: BatchShape,
    options: StepOptions,
    finish: (tape: Tape, hidden: Value, pass: Pass) => T,
  ): T {
    if (ids.shape.length !== 1) throw new ShapeError('Transformer', `ids: expected a list, got [${ids.shape}].`);
    this.#checkShape('ids', ids.data.length, shape);
    return this.#run(recording, shape, options, {
      forward: (tape, pass) => this.#hiddenStates(tape, ids, pass),
      finish,
    });
  }

  /** Runs `forward` on a tape of its own, gives what comes of it to `finish`, and frees all in any case. */
  #run<T>(
    recording: boolean,
    shape: BatchShape,
    options: StepOptions & LayerOptions,
    steps: { forward: (tape: Tape, pass: Pass) => Value; finish: (tape: Tape, output: Value, pass: Pass) => T },
  ): T {
    const {
      gradientScale = 1,
      sparsityScale = 1,
      l1Scale = 1,
      rules = null,
      statistics = null,
      skips = {},
      precision = 'f32',
      recompute = false,
      sameParameters = false,
      observer,
    } = options;
    const positions = this.#positions(shape);
    const firstKeys = this.#firstKeys(shape);
    const pass: Pass = {
      ...shape,
      ...{ positions, firstKeys },
      gradientScale,
      sparsityScale,
      l1Scale,
      ...{ rules, statistics },
      l1: 0,
      router: 0,
      backwardMs: 0,
    };
    const tape = new Tape(this.backend.kernels, this.pool, {
      dtype: this.dtype,
      recording,
      skips,
      precision,
      recompute,
      observer,
    });
    const beginMs = performance.now();
    try {
      const output = within(observer, 'phase', 'forward', () => {
        if (!sameParameters) this.#made?.update(tape);
        return steps.forward(tape, pass);
      });
      const result = steps.finish(tape, output, pass);
      if (statistics) {
        statistics.flops += tape.flops;
        statistics.backwardMs += pass.backwardMs;
        statistics.forwardMs += performance.now() - beginMs - pass.backwardMs;
      }
      return result;
    } finally {
      tape.dispose();
      this.pool.release(positions);
      if (firstKeys) this.pool.release(firstKeys);
    }
  }

  #positions({ batch, seqLen, starts }: BatchShape): IntTensor {
    const positions = this.pool.take('i32', [batch * seqLen]);
    for (let row = 0; row < batch * seqLen; row++) positions.data[row] = (row % seqLen) - (starts?.data[row] ?? 0);
    return positions;
  }

  /** The beginning of a token's text or of its window, whichever is later. */
  #firstKeys({ batch, seqLen, starts }: BatchShape): IntTensor | null {
    const { slidingWindow } = this.config;
    const isLimited = slidingWindow > 0 && slidingWindow < seqLen;
    if (!starts && !isLimited) return null;
    const firstKeys = this.pool.take('i32', [batch * seqLen]);
    for (let row = 0; row < batch * seqLen; row++) {
      const ofWindow = isLimited ? (row % seqLen) - slidingWindow + 1 : 0;
      firstKeys.data[row] = Math.max(starts?.data[row] ?? 0, ofWindow);
    }
    return firstKeys;
  }

  #checkShape(what: string, tokens: number, { batch, seqLen, starts }: BatchShape): void {
    if (tokens !== batch * seqLen) {
      throw new ShapeError(
        'Transformer',
        `${what}: expected [${batch * seqLen}] (batch ${batch} of ${seqLen} tokens), got [${tokens}].`,
      );
    }
    if (starts && starts.data.length !== batch * seqLen) {
      throw new ShapeError('Transformer', `starts: expected [${batch * seqLen}], got [${starts.shape}].`);
    }
    if (seqLen > this.config.seqLen) {
      throw new ShapeError(
        'Transformer',
        `a sequence is too long: expected at most ${this.config.seqLen} tokens, got ${seqLen}.`,
      );
    }
  }
}

/** What the teacher says about a batch: one pass without gradients, dense or not as its configuration has it. */
function teach(
  { teacher, weight, temperature }: Distillation,
  ids: IntTensor,
  shape: BatchShape,
  { precision, observer, statistics }: StepOptions,
): Teacher {
  const own = new StepStatistics(teacher.config);
  const hidden = within(observer, 'phase', 'teacher', () =>
    teacher.hidden(ids, shape, { ...(precision && { precision }), statistics: own }),
  );
  if (statistics) {
    statistics.flops += own.flops;
    statistics.teacherMs += own.forwardMs;
  }
  return { hidden, head: teacher.head, weight, temperature };
}
