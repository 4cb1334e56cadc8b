/**
 * A form of conversation for models that were made for none: names before the lines, as in a play. Used only where it is asked for: a model
 * that never saw it may follow it or not, and nothing but the next name shows where an answer ends.
 */

const plainTemplate = (end: string) => `{%- for message in messages -%}
{%- if message.role == 'system' -%}{{ message.content }}{{ '\\n\\n' }}
{%- elif message.role == 'user' -%}{{ 'User: ' + message.content + '\\n' }}
{%- else -%}{{ 'Assistant: ' + message.content + ${end}'\\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}`;

/** In Jinja, for ChatTemplate. */
export const PLAIN_TEMPLATE = plainTemplate('');

/** The same with the end of text behind each answer, so that a model that is trained on it learns to end them. */
export const PLAIN_TEMPLATE_WITH_ENDS = plainTemplate('eos_token + ');

/** Where an answer ends: before the next line of the play. */
export const PLAIN_STOPS: readonly string[] = ['\nUser:', '\nAssistant:'];
