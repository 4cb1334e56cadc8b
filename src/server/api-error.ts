/**
 * ApiError: what a client did wrong or the server cannot do now, in the shape of OpenAI's API.
 *
 * `toApiError` decides what of an error may be told: mistakes of the request in their own words, everything else as a sentence without
 * paths and stacks, while the log gets the whole.
 */

import { BusyError, messageOf, UsageError } from '../util/errors.ts';

export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 429 | 500 | 503;

export interface ErrorFields {
  /** The field of the request that is wrong. */
  param?: string | null;
  /** For programs: `model_not_found`, `context_length_exceeded` and others of docs/server.md. */
  code?: string | null;
  /** Seconds after which the same request may succeed. */
  retryAfter?: number;
}

const TYPES: Readonly<Record<ErrorStatus, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'invalid_request_error',
  405: 'invalid_request_error',
  408: 'timeout_error',
  409: 'invalid_request_error',
  413: 'invalid_request_error',
  415: 'invalid_request_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'server_error',
};

/** The body of every answer that is an error. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

export class ApiError extends Error {
  readonly status: ErrorStatus;
  readonly param: string | null;
  readonly code: string | null;
  readonly retryAfter: number | null;

  constructor(status: ErrorStatus, message: string, { param = null, code = null, retryAfter }: ErrorFields = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.param = param;
    this.code = code;
    this.retryAfter = retryAfter ?? null;
  }

  get body(): ErrorBody {
    const { message, param, code } = this;
    return { error: { message, type: TYPES[this.status], param, code } };
  }

  /** The whole answer. */
  response(): Response {
    const headers = new Headers({ 'content-type': 'application/json' });
    if (this.retryAfter !== null) headers.set('retry-after', String(this.retryAfter));
    if (this.status === 401) headers.set('www-authenticate', 'Bearer');
    return new Response(JSON.stringify(this.body), { status: this.status, headers });
  }
}

/** Any error as one for the client; `report` gets those whose words stay here. */
export function toApiError(error: unknown, report: (error: unknown) => void): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof UsageError) return new ApiError(400, messageOf(error));
  if (error instanceof BusyError) {
    return new ApiError(429, messageOf(error), { code: 'queue_full', retryAfter: 1 });
  }
  report(error);
  return new ApiError(500, 'The server failed at this request; its log says why.', { code: 'internal_error' });
}
