/** A tiny checkpoint of llama2.c in its old layout, with seeded weights, and the tokenizer that lies beside it. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Prng } from '../../src/util/prng.ts';

const [DIM, HIDDEN_DIM, N_LAYERS, N_HEADS, N_KV_HEADS, VOCAB_SIZE, SEQ_LEN] = [8, 12, 2, 2, 1, 262, 32];

/** Writes `model.bin` and `tokenizer.bin` into a directory and returns the path of the former. */
export function writeTinyLlama2c(directory: string): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, 'model.bin');
  writeFileSync(path, tinyLlama2c());
  writeFileSync(join(directory, 'tokenizer.bin'), tinyLlama2cTokenizer());
  return path;
}

export function tinyLlama2c(): Buffer {
  const header = Int32Array.of(DIM, HIDDEN_DIM, N_LAYERS, N_HEADS, N_KV_HEADS, VOCAB_SIZE, SEQ_LEN);
  const kvDim = (DIM / N_HEADS) * N_KV_HEADS;
  const layer = 2 * DIM + 2 * DIM * DIM + 2 * DIM * kvDim + 3 * DIM * HIDDEN_DIM;
  const floats = VOCAB_SIZE * DIM + N_LAYERS * layer + DIM + SEQ_LEN * (DIM / N_HEADS);
  const prng = new Prng(6);
  const weights = Float32Array.from({ length: floats }, () => 0.3 * prng.normal());
  return Buffer.concat([Buffer.from(header.buffer), Buffer.from(weights.buffer)]);
}

function tinyLlama2cTokenizer(): Buffer {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const pieces = ['<unk>', '<s>', '</s>', ...bytes, ' ', 'a', ' a'];
  const records = pieces.map((piece, id) => {
    const text = Buffer.from(piece);
    const record = Buffer.alloc(8 + text.length);
    record.writeFloatLE(-id, 0);
    record.writeInt32LE(text.length, 4);
    text.copy(record, 8);
    return record;
  });
  const longest = Buffer.alloc(4);
  longest.writeUInt32LE(6);
  return Buffer.concat([longest, ...records]);
}
