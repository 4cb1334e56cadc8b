/**
 * readRequest: the body of a request as what a schema says, or an ApiError that names the first field that is wrong.
 *
 * A field that nobody knows is refused, with the nearest name: a misspelt `temprature` must not go unnoticed. Fields of OpenAI's API that change
 * nothing here are in the schemas and ignored; those that would change the answer are refused with a reason (`unsupported`).
 */

import { z } from 'zod';
import { messageOf, nearestName } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import { ApiError } from './api-error.ts';

type Issue = z.core.$ZodIssue;

/** Throws ApiError for another content type, for what is no JSON, and for what the schema refuses. */
export async function readRequest<T extends z.ZodObject>(request: Request, schema: T): Promise<z.infer<T>> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    const message = `content-type: expected application/json, got ${shown(type)}.`;
    throw new ApiError(415, message, { code: 'unsupported_media_type' });
  }
  return checked(parseJson(await request.text()), schema);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(400, `The body is no JSON: ${messageOf(error).slice(0, 200)}.`, { code: 'invalid_json' });
  }
}

function checked<T extends z.ZodObject>(value: unknown, schema: T): z.infer<T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ApiError(400, `The body: expected an object, got ${shown(value)}.`);
  }
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw problemOf(result.error.issues[0], Object.keys(schema.shape));
}

function problemOf(issue: Issue, fields: readonly string[]): ApiError {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const name = issue.keys[0];
    const near = path.length === 0 && name.length <= 60 ? nearestName(name, fields) : undefined;
    const field = [...path, name.slice(0, 60)].join('.');
    const advice = near ? `Did you mean "${near}"?` : 'Leave it out.';
    return new ApiError(400, `Unknown field "${field}". ${advice}`, { param: field, code: 'unknown_field' });
  }
  const param = path.join('.').slice(0, 100);
  const got = issue.input === undefined ? 'nothing' : shown(issue.input);
  return new ApiError(400, `${param}: ${lowerFirst(issue.message)}, got ${got}.`, { param });
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** A field that exists in OpenAI's API and would change the answer: only values that ask for nothing pass. */
export function unsupported(what: string, asksForNothing: (value: unknown) => boolean = () => false) {
  const passes = (value: unknown) => value === undefined || value === null || asksForNothing(value);
  return z
    .unknown()
    .refine(passes, { error: `${what} is not supported` })
    .optional();
}

/**
 * A list or an object of at most so many entries, and then what `schema` says. Counted before the entries are looked at: each wrong one would be an
 * issue of its own, and a small body holds a million.
 */
export function atMost<T extends z.ZodType>(most: number, schema: T, error: string) {
  const fits = (value: unknown) => typeof value !== 'object' || value === null || sizeOf(value) <= most;
  return z.unknown().refine(fits, { error, abort: true }).pipe(schema);
}

function sizeOf(value: object): number {
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

/** Token ids: a plain loop that ends at the first that is none. */
export function isIdList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0);
}

/** A field that changes nothing here, whatever it says. */
export const ignored = z.unknown().optional();
