import { describe, expect, it, vi } from 'vitest';
import { missing, readJson, sharedPath } from '../../test/golden/golden-file.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import { type ChatMessage, ChatTemplate } from './chat-template.ts';
import { PLAIN_TEMPLATE } from './plain-template.ts';

const TOKENS = { bos_token: '<s>', eos_token: '</s>' };
const system: ChatMessage = { role: 'system', content: 'Be brief.' };
const user: ChatMessage = { role: 'user', content: 'Hi {{ there }}' };
const assistant: ChatMessage = { role: 'assistant', content: 'Hello.' };

/** Of Llama 2: the system message inside the first question, and a refusal of any other order. */
const LLAMA2 = `{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}`;

const golden = sharedPath('golden/smollm2-135m/prompts.json');

describe('ChatTemplate', () => {
  it('writes what Llama 2 was trained on', () => {
    const template = new ChatTemplate(LLAMA2, TOKENS, 'llama-2');
    expect(template.render([system, user, assistant, { role: 'user', content: ' And? ' }])).toBe(
      '<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi {{ there }} [/INST] Hello. </s><s>[INST] And? [/INST]',
    );
  });

  it.skipIf(missing(golden) !== null)(
    `writes the golden conversation of SmolLM2 (${missing(golden) ?? golden})`,
    () => {
      const { chatTemplate, prompts } = readJson<{ chatTemplate: string; prompts: { name: string; text: string }[] }>(
        golden,
      );
      const template = new ChatTemplate(chatTemplate, { bos_token: '<|im_start|>', eos_token: '<|im_end|>' }, golden);
      const question: ChatMessage = { role: 'user', content: 'What is the capital of France, and what is 17 + 25?' };
      const wanted = prompts.find(({ name }) => name === 'chat')!.text;
      // The template writes its own system message where none is given.
      expect(template.render([question])).toBe(wanted);
      expect(template.render([question], { addGenerationPrompt: false })).toBe(
        wanted.replace(/<\|im_start\|>assistant\n$/, ''),
      );
      expect(template.render([system, question])).toMatch(/^<\|im_start\|>system\nBe brief\.<\|im_end\|>\n/);
    },
  );

  it('writes the plain form', () => {
    const template = new ChatTemplate(PLAIN_TEMPLATE, TOKENS, 'plain');
    expect(template.render([system, user, assistant, user])).toBe(
      'Be brief.\n\nUser: Hi {{ there }}\nAssistant: Hello.\nUser: Hi {{ there }}\nAssistant:',
    );
    expect(template.render([user], { addGenerationPrompt: false })).toBe('User: Hi {{ there }}\n');
  });

  it('passes on the words of a template that refuses', () => {
    const template = new ChatTemplate(LLAMA2, TOKENS, 'llama-2');
    expect(() => template.render([user, user])).toThrow(UsageError);
    expect(() => template.render([user, user])).toThrow(
      /^\[chat\] .*llama-2 refuses the messages: Conversation roles must/,
    );
  });

  it('names a template that cannot be read or run', () => {
    expect(() => new ChatTemplate('{% if %}', TOKENS, 'a.json')).toThrow(FormatError);
    expect(() => new ChatTemplate('{% for x in %}', TOKENS, 'a.json')).toThrow(/template of a\.json cannot be read/);
    const template = new ChatTemplate('{{ messages.foo.bar() }}', TOKENS, 'a.json');
    expect(() => template.render([user])).toThrow(/template of a\.json cannot be run/);
  });

  it('bounds what a template may loop over', () => {
    const render = (source: string) => new ChatTemplate(source, TOKENS, 'a').render([]);
    expect(render('{% for i in range(3) %}{{ i }}{% endfor %},{% for i in range(7, 1, -3) %}{{ i }}{% endfor %}')).toBe(
      '012,74',
    );
    // Each is short, all together are not; and the next rendering has as many again.
    const nested = '{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}';
    expect(() => render(nested)).toThrow(/expected at most 100000 numbers in all/);
    for (const hostile of ['range(1000000000)', 'range(0, 1, 0)', 'range(5, 1, 0)']) {
      expect(() => render(`{% for i in ${hostile} %}{% endfor %}`)).toThrow(FormatError);
    }
  });

  it('tells the date where a template asks for it', () => {
    vi.useFakeTimers({ now: new Date(2026, 0, 31, 23, 59, 59) });
    try {
      const text = new ChatTemplate("{{ strftime_now('%Y-%m-%d %%x') }}", TOKENS, 'a').render([]);
      expect(text).toBe('2026-01-31 %x');
    } finally {
      vi.useRealTimers();
    }
    expect(new ChatTemplate("{{ strftime_now('%d %b') }}", TOKENS, 'a').render([])).toMatch(/^\d\d [A-Z][a-z]{2}$/);
    const then = new Date(2025, 2, 9);
    expect(new ChatTemplate("{{ strftime_now('%d %b %Y') }}", TOKENS, 'a', then).render([])).toBe('09 Mar 2025');
    const evening = new Date(2025, 11, 31, 18, 5, 9);
    const written = (format: string) =>
      new ChatTemplate(`{{ strftime_now('${format}') }}`, TOKENS, 'a', evening).render([]);
    expect(written('%-d.%-m.%y %I:%M %p, day %j, %F %T')).toBe('31.12.25 06:05 PM, day 365, 2025-12-31 18:05:09');
    expect(() => written('%Q')).toThrow(/strftime_now: the code %Q is not known/);
  });

  it('has no tools and no documents, which transformers calls None', () => {
    const source = '{% if tools is not none and tools|length > 0 %}tools{% else %}{{ documents is none }}{% endif %}';
    expect(new ChatTemplate(source, TOKENS, 'a').render([])).toBe('true');
  });
});
