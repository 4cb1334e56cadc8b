/**
 * Writes a model for other programs and reads it back: node examples/06-export.mjs [MODEL]
 *
 * MODEL is anything that 04-import-and-generate.mjs takes; default runs/example, which 01-train.mjs makes where it is missing. MODEL-hf becomes a directory that
 * `transformers` loads, MODEL.gguf a file for llama.cpp, each whole or not at all. A model that a program has no architecture for is refused with the
 * reason: so is the GGUF of the model of 01-train.mjs, whose gates are ReLU^2. One tensor is in memory at a time. Nothing that is there is replaced.
 *
 * Expected output:
 *
 *     runs/example-hf: LlamaForCausalLM, 20 tensors, 0.5 MB
 *     read back: 12 parameters are the same number by number; what is selected: topk, as it was
 *     no runs/example.gguf: [export] the model cannot be written as GGUF: relu2 gates: ...
 */

import { existsSync } from 'node:fs';
import {
  describeParameters,
  exportSourceOf,
  isForeign,
  openExportSource,
  openForeign,
  UsageError,
  writeGguf,
  writeHuggingFace,
} from 'qsparse';

const path = process.argv[2] ?? 'runs/example';
if (!existsSync(path)) await import('./01-train.mjs');

const source = isForeign(path) ? exportSourceOf(openForeign(path)) : openExportSource(path);
const name = path.replace(/(\.gguf|\.bin)?\/*$/, '');
const targets = [
  { out: `${name}-hf`, write: (out) => writeHuggingFace(source, out, { type: 'f32' }) },
  {
    out: isForeign(path) ? `${name}-f32.gguf` : `${name}.gguf`,
    write: (out) => writeGguf(source, out, { type: 'f32' }),
  },
];
for (const { out, write } of targets) {
  if (existsSync(out)) {
    console.log(`${out} is there already`);
    continue;
  }
  try {
    const { architecture, tensors, bytes } = await write(out);
    console.log(`${out}: ${architecture}, ${tensors} tensors, ${(bytes / 1e6).toFixed(1)} MB`);
    compare(out);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.log(`no ${out}: ${error.message}`);
  }
}
source.close();

/** What was written is a model like any other. */
function compare(out) {
  const back = openForeign(out);
  const parameters = describeParameters(source.config);
  for (const parameter of parameters) {
    const size = parameter.shape.reduce((product, extent) => product * extent, 1);
    const [expected, got] = [new Float32Array(size), new Float32Array(size)];
    source.read(parameter, expected);
    back.read(parameter, got);
    if (expected.some((x, i) => x !== got[i])) throw new Error(`${out}: ${parameter.name} differs`);
  }
  const { sparsifier } = back.config;
  console.log(
    `read back: ${parameters.length} parameters are the same number by number; what is selected: ${sparsifier}, as it was`,
  );
  back.close();
}
