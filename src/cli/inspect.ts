/**
 * `qsparse inspect`: what a model consists of, and how much of it a token really uses, measured on text.
 */

import type { Command } from 'commander';
import { loadBackend } from '../backends/load-backend.ts';
import { openModel } from '../import/open-model.ts';
import { Engine } from '../infer/engine.ts';
import type { ModelConfig } from '../model/config.ts';
import type { LoadedModel } from '../model/load-model.ts';
import { countParameters } from '../model/parameters.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import { tokenizerOfModel } from '../tokenizer/tokenizer-of-model.ts';
import { UsageError } from '../util/errors.ts';
import { formatBytes, formatCount, formatInteger, formatPercent } from '../util/format.ts';
import { activationTable, layerTable, tokenParameters } from './inspect/activation-table.ts';
import { addCommonOptions, type CommonOptions, parsePositiveInteger } from './shared/common-options.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './shared/interrupt.ts';
import { MODEL_ARGUMENT, modelPath } from './shared/model-argument.ts';
import { Output } from './shared/output.ts';
import { readThrough } from './shared/read-through.ts';
import { textsOrSample } from './shared/sample-text.ts';
import { sparsifierText } from './shared/sparsifier-text.ts';
import { parseSparsity } from './shared/sparsity-option.ts';
import type { Column } from './shared/table.ts';
import { addTextFileOptions, encodeTexts, type TextFileOptions } from './shared/text-files.ts';

interface InspectOptions extends CommonOptions, TextFileOptions {
  maxTokens: number;
  layers: boolean;
  sparsity?: SparsityOverride;
}

const HELP = `
Zeros are counted, not taken from the configuration: those of the selection and the natural ones of ReLU gates.
A zero input skips one row of its matrix; what is left of the weights is "activated". --sparsity selects with other shares than the
model was trained with, at all points or by point; natural zeros before down stay unless it is named. Models with ReLUs or thresholds
in front of their projections take no other shares. Of a mixture of experts the table counts the experts that a token is sent to.

Examples:
  $ qsparse inspect runs/book
  $ qsparse inspect runs/book --text chapter.txt --layers
  $ qsparse inspect runs/book --sparsity qkv=0.7,o=0.7,gateUp=0.7`;

const percent = (share: number): string => formatPercent(share);

const PROJECTION_COLUMNS: readonly Column[] = [
  { key: 'projection' },
  { key: 'parameters', format: formatCount },
  { key: 'sparsity', title: 'zeros', format: percent },
  { key: 'activated', format: formatCount },
];

const LAYER_COLUMNS: readonly Column[] = [
  { key: 'layer' },
  { key: 'qkv', format: percent },
  { key: 'o', format: percent },
  { key: 'gateUp', title: 'gate, up', format: percent },
  { key: 'down', format: percent },
];

export function register(program: Command): void {
  const command = program
    .command('inspect')
    .description('shapes, parameters and activated parameters of a model')
    .argument('<model>', MODEL_ARGUMENT);
  addTextFileOptions(command, 'text to measure on; .jsonl: a text a line (default: a page of English prose)')
    .option('--max-tokens <n>', 'most tokens of it', parsePositiveInteger('--max-tokens'), 4096)
    .option('--layers', 'zeros of every layer too', false)
    .option('--sparsity <shares>', 'in place of the trained one: 0.6, or qkv=0.6,down=0.9', parseSparsity('--sparsity'))
    .addHelpText('after', HELP);
  addCommonOptions(command).action(inspect);
}

async function inspect(given: string, options: InspectOptions): Promise<void> {
  const output = new Output(options);
  const path = await modelPath(given, output);
  const texts = textsOrSample(options);
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  try {
    const model = openModel(path, backend);
    const ids = encodeTexts(tokenizerOfModel(model), texts, options.maxTokens);
    const longest = Math.min(model.config.seqLen, Math.max(1, ids.length));
    const engine = new Engine(model.config, model.weights, backend, { maxTokens: longest });
    if (ids.length === 0) {
      throw new UsageError('inspect', 'the text is empty: expected at least 1 token. Give other text.');
    }
    const interrupt = onInterrupt();
    try {
      await readThrough(ids, engine, {
        sparsity: options.sparsity,
        progress: output.progress(),
        signal: interrupt.signal,
      });
    } finally {
      if (interrupt.signal.aborted) process.exitCode = INTERRUPTED_EXIT_CODE;
      interrupt.dispose();
    }
    report(output, model, engine, options);
  } finally {
    backend.dispose();
  }
}

function report(output: Output, model: LoadedModel, engine: Engine, options: InspectOptions): void {
  const { config } = model;
  const { statistics, kvBytesPerPosition } = engine;
  const { tokens } = statistics;
  const projections = activationTable(config, statistics.projections());
  const layers = layerTable(config, statistics.sparsity());
  const weightBytesPerToken = statistics.weightBytesPerToken(engine.weights);
  const parameters = countParameters(config);
  const { routed: routedParameters, activated: activatedParameters } = tokenParameters(config, projections);

  output.line(model.step > 0 ? `${model.path}, step ${formatInteger(model.step)}` : model.path);
  for (const [name, value] of shapeLines(config, model)) output.line(`${name.padEnd(22)}${value}`);
  output.line(`${'parameters'.padEnd(22)}${formatCount(parameters)}`);
  if (config.nExperts > 0) {
    output.line(
      `${'of its experts'.padEnd(22)}${formatCount(routedParameters)} parameters with those that a token is sent to`,
    );
    output.line(`${'load of the experts'.padEnd(22)}${loadText(statistics.expertLoad())}`);
  }
  output.line(`${'activated per token'.padEnd(22)}${formatCount(activatedParameters)}, head and norms included`);
  output.line(
    `${'read per token'.padEnd(22)}${formatBytes(weightBytesPerToken)} of weights, decoding alone; ` +
      `${formatBytes(kvBytesPerPosition)} of keys and values for each token before`,
  );
  output.heading(`Projections, measured on ${formatInteger(tokens)} tokens`);
  output.table(projections, { columns: PROJECTION_COLUMNS });
  if (options.layers) {
    output.heading('Zeros by layer');
    output.table(layers, { columns: LAYER_COLUMNS });
  }
  output.json({
    model: model.path,
    step: model.step,
    config,
    parameters,
    routedParameters,
    activatedParameters,
    ...(config.nExperts > 0 && { expertLoad: statistics.expertLoad() }),
    tokens,
    modelSparsity: statistics.modelSparsity(),
    weightBytesPerToken,
    kvBytesPerPosition,
    projections,
    layers,
  });
}

/** Shares of the choices, by layer and expert. */
function loadText(load: readonly (readonly number[])[]): string {
  const shares = load.flat();
  const unused = shares.filter((share) => share === 0).length;
  return (
    `${percent(Math.max(...shares))} of a layer's choices on the most loaded one (even: ${percent(1 / load[0].length)}), ` +
    `${unused} of ${shares.length} never chosen`
  );
}

/** What is unlike a plain Q-Sparse model. */
function formatLines({ activationFormat, weightFormat, subNorms }: ModelConfig): [string, string][] {
  const formats = [
    ...(activationFormat === 'int8' ? ['8-bit activations'] : []),
    ...(weightFormat === 'ternary' ? ['ternary weights'] : []),
    ...(subNorms ? ['sub-norms'] : []),
  ];
  return formats.length === 0 ? [] : [['trained with', formats.join(', ')]];
}

function shapeLines(config: ModelConfig, { bytes, dtypes }: LoadedModel): [string, string][] {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, headDim, vocabSize, seqLen } = config;
  const { activation, tiedEmbeddings, nExperts, nExpertsPerToken, qkvBias, qkNorm } = config;
  const around = `${qkvBias ? ', biases' : ''}${qkNorm ? ', norms of q and k' : ''}`;
  return [
    ['layers', `${nLayers} of dim ${dim}, hiddenDim ${hiddenDim}`],
    ...(nExperts > 0
      ? [['experts', `${nExperts} of hiddenDim ${hiddenDim}, ${nExpertsPerToken} a token`] satisfies [string, string]]
      : []),
    ['heads', `${nHeads} of headDim ${headDim}, ${nKvHeads} for keys and values${around}`],
    ['vocabulary', `${formatInteger(vocabSize)}, ${tiedEmbeddings ? 'head tied to the embedding' : 'head of its own'}`],
    ['context', `${formatInteger(seqLen)} tokens`],
    ['gate', activation],
    ['sparsity', sparsifierText(config)],
    ...formatLines(config),
    ['weights', `${formatBytes(bytes)}: projections ${dtypes.projections.join(', ')}, head ${dtypes.head}`],
  ];
}
