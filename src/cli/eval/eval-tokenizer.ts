/** A model's tokenizer as an evaluation needs it: also which tokens begin and end a text. */

import type { EvalTokenizer } from '../../eval/score-request.ts';
import type { LoadedModel } from '../../model/load-model.ts';
import { Tokenizer } from '../../tokenizer/tokenizer.ts';

/** `prefixToken` in place of the tokenizer's own: its end of text, which stands between documents. */
export function evalTokenizer(
  model: LoadedModel,
  prefixToken: number | undefined,
): EvalTokenizer & { decode(ids: readonly number[]): string } {
  const tokenizer = Tokenizer.fromJson(model.tokenizer, `${model.path}/tokenizer.json`);
  const { endOfText } = tokenizer;
  return {
    encode: (text) => tokenizer.encode(text),
    decode: (ids) => tokenizer.decode(ids),
    decodeStream: () => tokenizer.decodeStream(),
    prefixId: prefixToken ?? endOfText,
    addPrefix: false,
    endIds: endOfText === null ? [] : [endOfText],
  };
}
