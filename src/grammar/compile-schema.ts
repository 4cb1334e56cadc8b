/**
 * SchemaCompiler: shapes become rules of the grammar.
 *
 * A rule is a conjunction of schemas, known by their places, so that a schema that refers to itself comes back to a rule that has been made. Rules are
 * built one after the other from a list of those that were asked for, not inside of each other. In the end each must have a value that ends.
 */

import { anythingBut } from './character-dfa.ts';
import { ExclusiveShapes } from './exclusive-shapes.ts';
import { type Conjunction, keyOf, SchemaExpander, type Shape } from './expand-schema.ts';
import type { GrammarBuilder, GrammarNode, Rule } from './grammar-node.ts';
import { JsonText } from './json-text.ts';
import { integersBetween, numbersBetween, RangeProblem } from './number-range.ts';
import { refusal } from './schema-error.ts';
import { JSON_TYPES, type JsonType, KEYWORDS_OF_TYPE } from './schema-keywords.ts';
import { arrayOf, boundsOf, countsOf, type ObjectShape, objectOf, textsOf } from './shape-keywords.ts';
import { spellString } from './spell-characters.ts';
import { StepBudget } from './step-budget.ts';

const ANY_TYPES: ReadonlySet<JsonType> = new Set(JSON_TYPES.filter((type) => type !== 'integer'));
const ANY_SHAPE: Shape = {
  pointer: '#',
  types: ANY_TYPES,
  validTypes: ANY_TYPES,
  values: null,
  parts: [],
  branches: new Map(),
};

interface MadeRule extends Rule {
  readonly conjunction: Conjunction;
  /** For each alternative the rules without which no value of it ends. */
  readonly needs: (readonly MadeRule[])[];
}

/** One alternative of a rule. */
interface Way {
  readonly node: GrammarNode;
  readonly needs: readonly MadeRule[];
}

const MOST_RULES = 20_000;

export class SchemaCompiler {
  readonly #builder: GrammarBuilder;
  readonly #json: JsonText;
  readonly #budget = new StepBudget();
  readonly #expander: SchemaExpander;
  readonly #exclusive: ExclusiveShapes;
  readonly #rules = new Map<string, MadeRule>();
  readonly #waiting: MadeRule[] = [];

  constructor(builder: GrammarBuilder, schema: unknown) {
    this.#builder = builder;
    this.#json = new JsonText(builder);
    this.#expander = new SchemaExpander(schema, this.#budget);
    this.#exclusive = new ExclusiveShapes(this.#expander, this.#budget);
  }

  /** Throws UsageError with the JSON pointer of what is not supported, or of what no value can satisfy. */
  compile(): Rule {
    const root = this.#ruleOf([this.#expander.root]);
    for (let at = 0; at < this.#waiting.length; at++) this.#build(this.#waiting[at]);
    refuseEndless(this.#waiting);
    return root;
  }

  #ruleOf(conjunction: Conjunction): MadeRule {
    const canonical = this.#expander.canonical(conjunction);
    const key = keyOf(canonical);
    let rule = this.#rules.get(key);
    if (rule === undefined) {
      if (this.#rules.size === MOST_RULES) {
        throw refusal(canonical[0].pointer, `too many schemas: expected at most ${MOST_RULES}. Use fewer of them.`);
      }
      rule = { start: null, conjunction: canonical, needs: [] };
      this.#rules.set(key, rule);
      this.#waiting.push(rule);
    }
    return rule;
  }

  #build(rule: MadeRule): void {
    const { conjunction } = rule;
    const shapes = conjunction.length === 0 ? [ANY_SHAPE] : this.#expander.shapesOf(conjunction);
    this.#exclusive.refuseOverlaps(shapes);
    const ways = shapes.flatMap((shape) =>
      shape.values === null
        ? [...shape.types].flatMap((type) => this.#ofType(type, shape) ?? [])
        : [{ node: this.#literals(shape, [...shape.values.values()]), needs: [] }],
    );
    if (ways.length === 0) {
      throw refusal(
        conjunction[0].pointer,
        'no value can be all of this: expected a schema that some value satisfies.',
      );
    }
    rule.start = this.#builder.choice(ways.map(({ node }) => node));
    rule.needs.push(...ways.map(({ needs }) => needs));
  }

  /** Null where no value of this type will do. */
  #ofType(type: JsonType, shape: Shape): Way | null {
    const { end } = this.#builder;
    const alone = (node: GrammarNode | null): Way | null => (node === null ? null : { node, needs: [] });
    switch (type) {
      case 'object':
        return this.#object(shape);
      case 'array':
        return this.#array(shape);
      case 'string':
        return alone(this.#string(shape));
      case 'number':
      case 'integer':
        return alone(this.#number(type, shape));
      case 'boolean':
        return alone(this.#builder.texts(['true', 'false'], end));
      case 'null':
        return alone(this.#builder.text('null', end));
    }
  }

  /** Values as JSON.stringify writes them. */
  #literals(shape: Shape, values: readonly unknown[]): GrammarNode {
    for (const { schema, pointer } of shape.parts) {
      const keyword = [...KEYWORDS_OF_TYPE.values()].flat().find((one) => Object.hasOwn(schema, one));
      if (keyword === undefined) continue;
      throw refusal(
        pointer,
        `${keyword} beside enum or const is not supported: expected one of the two. Remove the other.`,
      );
    }
    const texts = values.map((value) => JSON.stringify(value));
    return this.#builder.texts(texts, this.#builder.end);
  }

  #string(shape: Shape): GrammarNode | null {
    const builder = this.#builder;
    const { min, max } = countsOf(shape, 'Length');
    const texts = textsOf(shape, this.#budget);
    if (texts === 'none' || min > max) return null;
    if (texts !== null) return spellString(builder, texts, builder.end);
    if (min === 0 && max === Infinity) return builder.call(this.#json.string, builder.end);
    return this.#json.quoted((then) => builder.repeat(this.#json.character, min, max, then), builder.end);
  }

  #number(type: 'number' | 'integer', shape: Shape): GrammarNode | null {
    const builder = this.#builder;
    const { min, max } = boundsOf(shape);
    if (min === null && max === null) return builder.call(this.#json[type], builder.end);
    try {
      return type === 'integer'
        ? integersBetween(builder, min, max, builder.end)
        : numbersBetween(builder, this.#json, min, max, builder.end);
    } catch (error) {
      if (!(error instanceof RangeProblem)) throw error;
      throw refusal(shape.pointer, `minimum and maximum: ${error.message}.`);
    }
  }

  #array(shape: Shape): Way | null {
    const builder = this.#builder;
    const { prefix, rest, min, max } = arrayOf(shape, this.#budget);
    if (min > max) return null;
    const rules = prefix.map((conjunction) => this.#ruleOf(conjunction));
    const needs = rules.slice(0, min);
    const close = builder.text(']', builder.end);
    // Behind all of the first items; the gap behind `[` stands there already.
    let node = rules.length === 0 ? close : this.#json.gap(close);
    if (max > rules.length) {
      const rule = this.#ruleOf(rest);
      if (min > rules.length) needs.push(rule);
      node = this.#json.items(rule, { done: rules.length, min, max }, close);
    }
    for (let at = rules.length - 1; at >= 0; at--) {
      const item = builder.call(rules[at], node);
      const more = at === 0 ? item : this.#json.comma(item);
      node = at >= min ? builder.choice([more, at === 0 ? close : this.#json.gap(close)]) : more;
    }
    return { node: builder.text('[', this.#json.gap(node)), needs };
  }

  #object(shape: Shape): Way | null {
    const builder = this.#builder;
    const object = objectOf(shape, this.#budget);
    if (object === null) return null;
    const properties = object.properties.map(({ name, isRequired, value }) => {
      const rule = this.#ruleOf(value);
      const entry = builder.rule((end) =>
        builder.text(JSON.stringify(name), this.#json.colon(builder.call(rule, end))),
      );
      return { isRequired, rule, entry };
    });
    const close = builder.text('}', builder.end);
    // What may follow where nothing was written yet, and behind another property.
    let [first, later] = this.#otherProperties(object, close);
    for (const { isRequired, entry } of properties.reverse()) {
      const [atFirst, atLater] = [builder.call(entry, later), this.#json.comma(builder.call(entry, later))];
      first = isRequired ? atFirst : builder.choice([atFirst, first]);
      later = isRequired ? atLater : builder.choice([atLater, later]);
    }
    const needs = properties.filter(({ isRequired }) => isRequired).map(({ rule }) => rule);
    return { node: builder.text('{', this.#json.gap(first)), needs };
  }

  #otherProperties({ rest, names }: ObjectShape, close: GrammarNode): [first: GrammarNode, later: GrammarNode] {
    const builder = this.#builder;
    const closeLater = this.#json.gap(close);
    if (rest === null) return [close, closeLater];
    const rule = this.#ruleOf(rest);
    const entry = builder.rule((end) => {
      const value = this.#json.colon(builder.call(rule, end));
      if (names.length === 0) return builder.call(this.#json.string, value);
      return spellString(builder, anythingBut(names), value);
    });
    const following = builder.rule((end) => this.#json.comma(builder.call(entry, end)));
    const later = builder.repeat(following, 0, Infinity, closeLater);
    return [builder.choice([builder.call(entry, later), close]), later];
  }
}

/** Throws UsageError for a rule none of whose values ends, as each would hold another one of its kind. */
function refuseEndless(rules: readonly MadeRule[]): void {
  const users = new Map<MadeRule, { rule: MadeRule; open: number }[]>();
  const ended = new Set<MadeRule>();
  for (const rule of rules) {
    for (const needs of rule.needs) {
      const unique = new Set(needs);
      const way = { rule, open: unique.size };
      if (way.open === 0) ended.add(rule);
      for (const need of unique) {
        const list = users.get(need) ?? [];
        users.set(need, list);
        list.push(way);
      }
    }
  }
  for (const rule of ended) {
    for (const way of users.get(rule) ?? []) if (--way.open === 0) ended.add(way.rule);
  }
  const endless = rules.find((rule) => !ended.has(rule));
  if (endless === undefined) return;
  throw refusal(
    endless.conjunction[0].pointer,
    'no value of it would ever end, as each must hold another one: expected an optional property, minItems 0 or null somewhere.',
  );
}
