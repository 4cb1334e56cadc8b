/**
 * libraryJson: a tokenizer.json as @huggingface/tokenizers reads it to the same end as the original in Rust.
 *
 * The library passes over some options without a word, and then gives other ids. Where the same can be said in words that it knows, it is; the rest is refused, because
 * text in other tokens than a model was trained on is a model that got worse for no visible reason.
 */

interface Step {
  readonly type?: unknown;
  readonly pretokenizers?: unknown;
  readonly individual_digits?: unknown;
  readonly behavior?: unknown;
  readonly add_prefix_space?: unknown;
  readonly prepend_scheme?: unknown;
}

interface Parts {
  readonly pre_tokenizer?: unknown;
  readonly added_tokens?: readonly { readonly content?: unknown; readonly single_word?: unknown }[];
}

/** Throws an Error in words for what the library cannot do. */
export function libraryJson<T extends object>(json: T): T {
  const { pre_tokenizer, added_tokens = [] } = json as Parts;
  const whole = added_tokens.find(({ single_word }) => single_word === true);
  if (whole !== undefined) {
    throw new Error(
      `its token ${JSON.stringify(whole.content)} is for whole words alone (single_word), which is not supported`,
    );
  }
  return pre_tokenizer ? { ...json, pre_tokenizer: preTokenizer(pre_tokenizer as Step) } : json;
}

function preTokenizer(step: Step): Step {
  switch (step.type) {
    case 'Sequence':
      return { ...step, pretokenizers: (step.pretokenizers as readonly Step[]).map(preTokenizer) };
    // In Rust a digit is what Unicode calls a number (½, Ⅳ, ٣), in the library one of ten.
    case 'Digits': {
      const Regex = step.individual_digits === true ? '\\p{N}' : '\\p{N}+';
      return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false } as Step;
    }
    case 'Metaspace':
      // What older files say instead of prepend_scheme.
      if (step.add_prefix_space !== false || step.prepend_scheme !== undefined) return step;
      return { ...step, prepend_scheme: 'never' } as Step;
    case 'Split':
      return withBehavior(step, ['isolated', 'removed']);
    case 'Punctuation':
      return withBehavior(step, ['isolated']);
    default:
      return step;
  }
}

function withBehavior(step: Step, known: readonly string[]): Step {
  const behavior = String(step.behavior ?? 'Isolated');
  if (known.includes(behavior.toLowerCase())) return step;
  throw new Error(`its pre-tokenizer ${step.type} has the behavior ${behavior}: expected ${known.join(' or ')}`);
}
