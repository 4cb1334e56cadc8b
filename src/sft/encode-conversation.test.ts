import { describe, expect, it } from 'vitest';
import { missing, readJson, sharedPath } from '../../test/golden/golden-file.ts';
import type { ChatForm } from '../chat/chat-form.ts';
import { type ChatMessage, ChatTemplate } from '../chat/chat-template.ts';
import { PLAIN_TEMPLATE } from '../chat/plain-template.ts';
import { Tokenizer } from '../tokenizer/tokenizer.ts';
import { trainBpe } from '../tokenizer/train-bpe.ts';
import { encodeConversation } from './encode-conversation.ts';

const NO_TOKENS = { bos_token: null, eos_token: null };
const text = 'User: what is one and one?\nAssistant: It is two.\n the an is it and or to of\n\n\n';
const json = trainBpe([text.repeat(4)], { vocabSize: 290 });
const plain = Tokenizer.fromJson(json);
const formOf = (source: string, tokens: ConstructorParameters<typeof ChatTemplate>[1] = NO_TOKENS): ChatForm => ({
  template: new ChatTemplate(source, tokens, 'test'),
  stop: [],
  writesBos: true,
});

const CHATML = `{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}`;
const chatmlTokenizer = () => {
  const added = ['<|im_start|>', '<|im_end|>'].map((content, i) => ({
    ...{ id: 290 + i, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
  }));
  const withTokens = { ...json, added_tokens: [...(json as { added_tokens: object[] }).added_tokens, ...added] };
  const config = {
    ...NO_TOKENS,
    eos_token: '<|im_end|>',
    add_bos_token: false,
    chat_template: CHATML,
    eosTokenIds: [],
  };
  return Tokenizer.fromJson(withTokens, 'tokenizer.json', config);
};

const conversation: ChatMessage[] = [
  { role: 'system', content: 'it' },
  { role: 'user', content: 'what is one and one?' },
  { role: 'assistant', content: 'It is two.' },
  { role: 'user', content: 'and?' },
  { role: 'assistant', content: 'two' },
];

/** The runs of ids that count, as text with special tokens named. */
function answers(tokenizer: Tokenizer, form: ChatForm, messages: readonly ChatMessage[]): string[] {
  const { ids, isAnswer } = encodeConversation(messages, form, tokenizer);
  const runs: number[][] = [];
  ids.forEach((id, i) => {
    if (!isAnswer[i]) return;
    if (i === 0 || !isAnswer[i - 1]) runs.push([]);
    runs[runs.length - 1].push(id);
  });
  return runs.map((run) =>
    run.map((id) => (id === 291 ? '<end>' : id === tokenizer.endOfText ? '<eot>' : tokenizer.decode([id]))).join(''),
  );
}

describe('encodeConversation', () => {
  it('marks the answers with the tokens that end them, and nothing that a template writes after', () => {
    const tokenizer = chatmlTokenizer();
    expect(answers(tokenizer, formOf(CHATML), conversation)).toEqual(['It is two.<end>', 'two<end>']);
    const { ids } = encodeConversation(conversation, formOf(CHATML), tokenizer);
    expect(ids).toEqual(tokenizer.encode(formOf(CHATML).template.render(conversation, { addGenerationPrompt: false })));
  });

  it('ends the plain form, which ends nothing itself, by the end of text', () => {
    const form = { ...formOf(PLAIN_TEMPLATE), writesBos: false };
    expect(answers(plain, form, conversation)).toEqual([' It is two.\n', ' two\n<eot>']);
    expect(answers(plain, form, conversation.slice(1, 3))).toEqual([' It is two.\n<eot>']);
  });

  it('begins an answer with the first token that holds a part of it, where the tokenizer joins it to the prompt', () => {
    // "\n" and "\n\n" are tokens of their own.
    const tokenizer = chatmlTokenizer();
    const messages: ChatMessage[] = [conversation[1], { role: 'assistant', content: '\n two' }];
    expect(tokenizer.encode('\n\n two').length).toBeLessThanOrEqual(3);
    expect(answers(tokenizer, formOf(CHATML), messages)).toEqual(['\n\n two<end>']);
  });

  it.each([
    [
      'drops earlier answers once it goes on',
      `{% for m in messages %}{{ m.role }}: {{ m.content if loop.last or m.role == 'user' else '...' }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`,
      'the conversation up to message 3 reads otherwise once it goes on',
    ],
    [
      'prompts otherwise than it writes',
      `{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: <think>{% endif %}`,
      'the prompt before message 3 is not how the answer begins',
    ],
  ])('refuses a template that %s', (_name, source, reason) => {
    expect(() => encodeConversation(conversation, formOf(source), plain)).toThrow(reason);
  });

  it('passes on what a template refuses', () => {
    expect(() => encodeConversation(conversation, formOf("{{ raise_exception('no system') }}"), plain)).toThrow(
      'no system',
    );
  });

  const golden = sharedPath('golden/smollm2-135m/prompts.json');
  const tokenizerPath = sharedPath('data/tokenizers/smollm2-tokenizer.json');
  const absent = missing(golden) ?? missing(tokenizerPath);
  it.skipIf(absent !== null)(`holds for the template of SmolLM2 (${absent ?? golden})`, () => {
    const { chatTemplate } = readJson<{ chatTemplate: string }>(golden);
    const tokens = { bos_token: '<|im_start|>', eos_token: '<|im_end|>' };
    const config = { ...tokens, add_bos_token: false, chat_template: chatTemplate, eosTokenIds: [2] };
    const tokenizer = Tokenizer.fromJson(readJson(tokenizerPath), tokenizerPath, config);
    const { ids, isAnswer } = encodeConversation(conversation.slice(1), formOf(chatTemplate, tokens), tokenizer);
    const counted = ids.filter((_, i) => isAnswer[i]);
    const end = tokenizer.encode('<|im_end|>');
    expect(counted).toEqual([...tokenizer.encode('It is two.'), ...end, ...tokenizer.encode('two'), ...end]);
  });
});
