/** `qsparse serve`: an OpenAI-compatible server for one model or several. */

import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { Backend } from '../backend.ts';
import { loadBackend } from '../backends/load-backend.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import { createApp } from '../server/create-app.ts';
import { type Listening, listen } from '../server/listen.ts';
import { ModelRegistry } from '../server/model-registry.ts';
import { readPages } from '../server/pages.ts';
import { RunListing } from '../server/run-listing.ts';
import { ServerMetrics } from '../server/server-metrics.ts';
import type { KvType } from '../tensor/kv-slots.ts';
import { messageOf, UsageError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { hostsOf, isLoopback } from './serve/loopback.ts';
import { modelSource } from './serve/model-source.ts';
import { type NamedModel, namedModels } from './serve/named-models.ts';
import { addCommonOptions, type CommonOptions, parseInteger, parsePositiveInteger } from './shared/common-options.ts';
import { onInterrupt } from './shared/interrupt.ts';
import { kvOption } from './shared/kv-option.ts';
import { goOnWithoutOutput } from './shared/lost-output.ts';
import { MODEL_HELP } from './shared/model-argument.ts';
import { Output } from './shared/output.ts';
import { parseBytes } from './shared/parse-bytes.ts';
import { parseSparsity } from './shared/sparsity-option.ts';

export interface ServeOptions extends CommonOptions {
  host: string;
  port: number;
  apiKey: string[];
  cors: string[];
  runs?: string;
  maxSequences: number;
  maxQueued: number;
  context: number;
  timeout: number;
  memory?: number;
  kv: KvType;
  template?: string;
  sparsity?: SparsityOverride;
}

const KEY_VARIABLE = 'QSPARSE_API_KEY';
/** Room for long conversations; models of 131,072 tokens would reserve gigabytes for each sequence. */
const DEFAULT_CONTEXT = 4096;

const MOST_PORT = 65_535;
/** Some 25 days: a timer that waits longer rings at once. */
const MOST_SECONDS = Math.floor((2 ** 31 - 1) / 1000);

const HELP = `
${MODEL_HELP}
Clients call a model by its last part, runs/book by "book", or by NAME of NAME=MODEL. The first is that of requests which name none. Models are loaded when the
server starts, or where --memory does not hold them all, when they are asked for.

The server listens on this machine only; another --host needs a key. Ctrl-C finishes the answers that are running; a second one ends at once.
docs/server.md lists all fields of requests.

Examples:
  $ qsparse serve runs/book
  $ qsparse serve chat=models/smollm2 runs/book --memory 4g --port 8000
  $ ${KEY_VARIABLE}=secret qsparse serve models/smollm2 --host 0.0.0.0`;

const collect = (value: string, values: string[]): string[] => [...values, value];

export function register(program: Command): void {
  const command = program
    .command('serve')
    .description('an OpenAI-compatible server for models, with a playground')
    .argument('<model...>', 'models, each as MODEL or NAME=MODEL')
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--port <n>', 'its port; 0: any that is free', parseInteger('--port', MOST_PORT), 8080)
    .option(
      '--api-key <key>',
      `a key that opens the server; may be given several times (or ${KEY_VARIABLE})`,
      collect,
      [],
    )
    .option('--cors <origin>', 'an origin whose pages may call it, or *; may be given several times', collect, [])
    .option('--runs <dir>', 'show the training runs in this folder')
    .option('--max-sequences <n>', 'texts of a model at the same time', parsePositiveInteger('--max-sequences'), 8)
    .option('--max-queued <n>', 'texts that wait beside them', parsePositiveInteger('--max-queued'), 256)
    .option(
      '--context <n>',
      'most tokens of a text, prompt included',
      parsePositiveInteger('--context'),
      DEFAULT_CONTEXT,
    )
    .option(
      '--timeout <s>',
      'longest time of an answer in seconds',
      parsePositiveInteger('--timeout', MOST_SECONDS),
      600,
    )
    .option('--memory <bytes>', 'most memory of all models together, such as 4g', parseBytes('--memory'))
    .addOption(kvOption())
    .option('--template <name>', "plain, or a file with a Jinja template, in place of the models' own")
    .option('--sparsity <shares>', 'where a request says none: 0.6, or qkv=0.6,down=0.9', parseSparsity('--sparsity'))
    .addHelpText('after', HELP);
  addCommonOptions(command).action(serve);
}

async function serve(given: string[], options: ServeOptions): Promise<void> {
  goOnWithoutOutput();
  const output = new Output(options);
  const apiKeys = keysOf(options);
  const models = await namedModels(given, output);
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  const interrupt = onInterrupt(() => output.note('finishing the answers that are running; Ctrl-C again ends at once'));
  const registry = registryOf(models, backend, options, output);
  try {
    loadAll(registry, output);
    const app = createApp({
      registry,
      apiKeys,
      corsOrigins: options.cors,
      hosts: apiKeys.length > 0 ? null : hostsOf(options.host),
      pages: readPages(fileURLToPath(new URL('../web/', import.meta.url))),
      runs: options.runs === undefined ? null : new RunListing(options.runs),
      metrics: new ServerMetrics(registry, { process: true }),
      nextSeed: seedsOf(options.seed),
      timeoutMs: 1000 * options.timeout,
      log: (line) => output.warn(line),
      isStopping: () => interrupt.signal.aborted,
    });
    const listening = await listen(app, options);
    report(output, listening, models, backend.description, apiKeys.length > 0);
    await aborted(interrupt.signal);
    await listening.stop();
  } finally {
    interrupt.dispose();
    registry.dispose();
    backend.dispose();
  }
}

function registryOf(
  models: readonly NamedModel[],
  backend: Backend,
  options: ServeOptions,
  output: Output,
): ModelRegistry {
  const { context, maxSequences, maxQueued, memory, kv, template, sparsity } = options;
  const served = { contextTokens: context, maxSequences, maxQueued, kvType: kv, template, sparsity };
  const sources = models.map(({ id, path }) => modelSource(id, path, backend, served));
  const onEvent = (line: string) => output.note(line);
  return new ModelRegistry(sources, { onEvent, ...(memory !== undefined && { memoryBytes: memory }) });
}

/** Seeds of the requests that give none, in the order in which they come; other ones at every start where the command gives no seed. */
function seedsOf(seed: number | undefined): () => number {
  const prng = new Prng(seed ?? Math.floor(Math.random() * Number.MAX_SAFE_INTEGER));
  return () => prng.uint32();
}

/** Those of the options, and of the environment. Throws UsageError where one is needed and there is none. */
function keysOf({ apiKey, host }: ServeOptions): string[] {
  const fromEnvironment = process.env[KEY_VARIABLE];
  const keys = [...apiKey, ...(fromEnvironment ? [fromEnvironment] : [])];
  if (keys.some((key) => key.trim() === ''))
    throw new UsageError('serve', '--api-key: expected a key, got an empty one.');
  if (keys.length > 0 || isLoopback(host)) return keys;
  throw new UsageError(
    'serve',
    `--host ${host} opens the server to other machines: expected a key. Give --api-key, or ${KEY_VARIABLE} in the environment.`,
  );
}

/** As many as there is room for, in their order; why one could not be loaded is told. Throws UsageError where none can. */
function loadAll(registry: ModelRegistry, output: Output): void {
  for (const id of registry.ids) {
    try {
      if (!registry.loadIfRoom(id)) output.note(`${id} waits until it is asked for: --memory holds no more`);
    } catch (error) {
      output.warn(`${id} is not served: ${messageOf(error)}`);
    }
  }
  if (registry.loaded().length > 0) return;
  throw new UsageError('serve', 'none of the models can be loaded: the lines above say why.');
}

function report(
  output: Output,
  { url }: Listening,
  models: readonly NamedModel[],
  backend: string,
  needsKey: boolean,
): void {
  const key = needsKey ? ` -H "Authorization: Bearer $${KEY_VARIABLE}"` : '';
  const body = JSON.stringify({ model: models[0].id, prompt: 'Once upon a time', max_tokens: 40 });
  output.line(`listening on ${url} (${backend})`);
  output.line(`models    ${models.map(({ id }) => id).join(', ')}`);
  output.line(`page      ${url}/`);
  output.line(`API       ${url}/v1  (base URL of OpenAI's clients)`);
  output.line(`try       curl ${url}/v1/completions${key} -H 'Content-Type: application/json' -d '${body}'`);
  output.json({ url, models: models.map(({ id }) => id), backend, pid: process.pid });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
