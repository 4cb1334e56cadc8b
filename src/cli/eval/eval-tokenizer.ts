/** A model's tokenizer as an evaluation needs it: also which tokens begin and end a text. */

import type { EvalTokenizer } from '../../eval/score-request.ts';
import type { LoadedModel } from '../../model/load-model.ts';
import { tokenizerOfModel } from '../../tokenizer/tokenizer-of-model.ts';

/**
 * `prefixToken` in the place of what stands for an empty context, as lm-evaluation-harness takes it: BOS, or else the end of text, which stands between documents. The BOS in
 * front of other texts stays the tokenizer's.
 */
export function evalTokenizer(
  model: LoadedModel,
  prefixToken: number | undefined,
): EvalTokenizer & { decode(ids: readonly number[]): string } {
  const tokenizer = tokenizerOfModel(model);
  const { bos, endOfText, endIds } = tokenizer;
  return {
    encode: (text) => tokenizer.encode(text),
    decode: (ids) => tokenizer.decode(ids),
    decodeStream: () => tokenizer.decodeStream(),
    prefixId: prefixToken ?? bos ?? endOfText,
    bosId: tokenizer.config?.add_bos_token === true ? bos : null,
    endIds,
  };
}
