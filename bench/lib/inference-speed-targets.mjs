/** The aims of inference speed, each with the value that is on file. All of them are for 60 % zeros at all four points. */

import { bytesOverExpected, isAim, rowsOf } from './inference-speed-rows.mjs';

const DTYPES = ['f32', 'bf16', 'int8', 'ternary'];
const SMALL_BATCHES = [2, 4, 8, 16, 32];

/**
 * `[{ text, wanted, value }]`, value null where it is not on file. `most`: the value must not be above. `share`: it is one, not a ratio.
 */
export function targetsOf(results) {
  const row = (part, dtype, isIt = () => true) =>
    rowsOf(results, part).find((one) => one.dtype === dtype && isAim(one) && isIt(one));
  const own = (part, dtype) => row(part, dtype)?.speedupOverDense;
  const over = (part, dtype, type) => row(part, dtype)?.over[type];
  const ofBatch = (batch) => row('batch', 'int8', (one) => one.batch === batch);
  const decoded = DTYPES.map((dtype) => row('decode', dtype));
  // The worst of them counts, so that all must be there.
  const worstOf = (rows, of) => Math.max(...rows.map((one) => (one ? of(one) : Number.NaN)));
  const half = ['f32', 'bf16'].map((dtype) => over('prefill', dtype, 'F16')).filter(Number.isFinite);
  const target = (text, wanted, value, options = {}) => ({
    text,
    wanted,
    value: Number.isFinite(value) ? value : null,
    ...options,
  });
  const most = { most: true, share: true };
  return [
    target('decode, f32: own dense', 2, own('decode', 'f32')),
    target('decode, bf16: own dense', 2, own('decode', 'bf16')),
    target('decode, int8: own dense', 1.9, own('decode', 'int8')),
    target('decode, int8: llama.cpp Q8_0', 2.5, over('decode', 'int8', 'Q8_0')),
    target('decode, ternary: own dense', 1.6, own('decode', 'ternary')),
    target('decode, ternary: llama.cpp TQ2_0', 1.8, over('decode', 'ternary', 'TQ2_0')),
    target('prefill of 512 tokens, f32: own dense', 1.5, own('prefill', 'f32')),
    target('prefill, bf16: own dense', 1.4, own('prefill', 'bf16')),
    target('prefill, int8: own dense', 1.15, own('prefill', 'int8')),
    target('prefill, the better of f32 and bf16: llama.cpp F16', 1.3, Math.max(...half)),
    target('prefill, int8: llama.cpp Q8_0', 2.5, over('prefill', 'int8', 'Q8_0')),
    target(
      'batches of 2 to 32, int8, the worst of them: own dense',
      0.97,
      -worstOf(SMALL_BATCHES.map(ofBatch), (one) => -one.speedupOverDense),
    ),
    target('batch of 8, int8: llama.cpp Q8_0', 2.5, ofBatch(8)?.over.Q8_0),
    target('decode, int8, 95 % closed gates: own dense', 2.8, own('gates', 'int8')),
    target('decode, int8, 95 % closed gates: llama.cpp Q8_0', 3.5, over('gates', 'int8', 'Q8_0')),
    target(
      'selection, share of a decoded token, the worst type',
      0.02,
      worstOf(decoded, (one) => one.selectShare),
      most,
    ),
    target(
      'bytes touched: distance to those expected, the worst type',
      0.05,
      worstOf(decoded, (one) => Math.abs(bytesOverExpected(one))),
      most,
    ),
    target('wasm in Node, int8: own dense', 1.7, own('wasm', 'int8')),
    target('wasm in Chromium, int8: own dense', 1.7, own('chromium', 'int8')),
  ];
}
