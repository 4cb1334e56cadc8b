/**
 * RoPE in config.json of Hugging Face: `rope_parameters` (transformers 5), or `rope_theta` beside `rope_scaling` (before). Where both are there versions
 * differ in which one they follow, so they must mean the same.
 *
 * Supported are the plain one, `linear` and `llama3`; all others (dynamic, yarn, longrope, several axes) change with the length of the text or the scale of
 * attention, and are refused.
 */

import type { ModelConfig, RopeScaling } from '../model/config.ts';
import { type Problems, shown } from '../util/problems.ts';

type Json = Readonly<Record<string, unknown>>;

const DEFAULT_THETA = 10000;

type Rope = Pick<ModelConfig, 'ropeTheta' | 'ropeScaling'>;

/** theta and scaling; what is wrong goes to `problems`. */
export function ropeOf(json: Json, problems: Problems): Rope {
  const [at = 'rope_scaling', other] = ['rope_scaling', 'rope_parameters'].filter((name) => isGiven(json[name]));
  const rope = ropeAt(at, json, problems);
  if (other === undefined) return rope;
  const second = ropeAt(other, json, problems);
  if (isSame(rope, second)) return rope;
  const found = `got ${text(rope)} and ${text(second)}`;
  problems.add(at, `must mean the same as ${other} where both are there, ${found}. Remove the wrong one.`);
  return rope;
}

/** An empty object says nothing, as in Python. */
function isGiven(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value != null;
  return Array.isArray(value) || Object.keys(value).length > 0;
}

function isSame(a: Rope, b: Rope): boolean {
  const [one, two] = [a, b].map(({ ropeTheta, ropeScaling }) => new Map(Object.entries({ ropeTheta, ...ropeScaling })));
  return one.size === two.size && [...one].every(([name, value]) => two.get(name) === value);
}

function text({ ropeTheta, ropeScaling }: Rope): string {
  const scaling = ropeScaling === null ? 'no scaling' : `${ropeScaling.type} by ${shown(ropeScaling.factor)}`;
  return `${scaling} with rope_theta ${shown(ropeTheta)}`;
}

function ropeAt(at: string, json: Json, problems: Problems): Rope {
  const value = json[at] ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    problems.add(at, `must be an object, got ${shown(value)}.`);
    return { ropeTheta: DEFAULT_THETA, ropeScaling: null };
  }
  const rope = value as Json;
  const number = (name: string, source: Json, from: string): number => {
    problems.number(from, source[name], 'a number above 0', (n) => n > 0 && Number.isFinite(n));
    return source[name] as number;
  };
  const theta = rope.rope_theta ?? json.rope_theta ?? DEFAULT_THETA;
  const share = rope.partial_rotary_factor ?? json.partial_rotary_factor ?? 1;
  if (share !== 1) problems.add('partial_rotary_factor', `must be 1, got ${shown(share)}: RoPE turns all features.`);
  const scaling = scalingOf(rope, at, (name) => number(name, rope, `${at}.${name}`), problems);
  return { ropeTheta: number('rope_theta', { rope_theta: theta }, 'rope_theta'), ropeScaling: scaling };
}

function scalingOf(rope: Json, at: string, number: (name: string) => number, problems: Problems): RopeScaling | null {
  const type = rope.rope_type ?? rope.type ?? 'default';
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type: 'linear', factor: number('factor') };
    case 'llama3':
      return {
        type: 'llama3',
        factor: number('factor'),
        lowFreqFactor: number('low_freq_factor'),
        highFreqFactor: number('high_freq_factor'),
        originalSeqLen: number('original_max_position_embeddings'),
      };
    default:
      problems.choice(`${at}.rope_type`, type, ['default', 'linear', 'llama3']);
      return null;
  }
}
