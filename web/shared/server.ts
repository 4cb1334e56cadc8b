/** The server that this page came from, if it is one of `qsparse serve` and no static site: its answers as JSON, its errors in words, its key. */

const KEY = 'qsparse-key';

/** The key that the server asks for, for as long as the tab is open; empty for none. */
export function serverKey(): string {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

export function setServerKey(key: string): void {
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // A browser that keeps nothing cannot use a server with a key.
  }
}

export function serverHeaders(): Record<string, string> {
  const key = serverKey();
  return key === '' ? {} : { Authorization: `Bearer ${key}` };
}

/** A list of the server; null where none answers as it does: this is a static site. Throws an Error in words where it refuses. */
export async function serverList<T>(path: string): Promise<T[] | null> {
  let response: Response;
  try {
    response = await fetch(path, { headers: serverHeaders() });
  } catch {
    return null;
  }
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  if (!isJson || response.status === 404) return null;
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(messageOfAnswer(body, response.status));
  return Array.isArray(body) ? (body as T[]) : null;
}

/** Why the server refuses, in its own words where it gives some. */
export function messageOfAnswer(body: unknown, status: number): string {
  const message = (body as { error?: { message?: unknown } } | null)?.error?.message;
  if (typeof message === 'string' && message !== '') return message;
  return `The server answered with status ${status}.`;
}
