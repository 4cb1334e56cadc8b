/** Which addresses are this machine's own, so that nobody else reaches what listens there. */

const NAMES = ['localhost', '127.0.0.1', '[::1]'];

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What the Host header of a request may say where no key is asked for. */
export function hostsOf(host: string): string[] {
  const own = host.includes(':') ? `[${host}]` : host.toLowerCase();
  return [...new Set([...NAMES, own])];
}
