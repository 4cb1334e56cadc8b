import { describe, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { chunksOf } from './fetch-model.ts';

const URL_OF_FILE = new URL('https://a.example/config.json');

/** A response as fetch gives it for this kind of request. */
function responseOf(type: 'basic' | 'cors', text: string, length: number): Response {
  const response = new Response(text, { headers: { 'content-length': String(length) } });
  return Object.defineProperty(response, 'type', { value: type });
}

async function read(response: Response): Promise<{ bytes: number; total: number | null | undefined }> {
  let total: number | null | undefined;
  let bytes = 0;
  const onProgress = ({ totalBytes }: { totalBytes: number | null }) => {
    total = totalBytes;
  };
  for await (const chunk of chunksOf(response, URL_OF_FILE, { onProgress })) bytes += chunk.length;
  return { bytes, total };
}

describe('chunksOf', () => {
  it('refuses a body of another size than its header says', async () => {
    await expect(read(responseOf('basic', 'abcdef', 6))).resolves.toEqual({ bytes: 6, total: 6 });
    await expect(read(responseOf('basic', 'abcdef', 4))).rejects.toThrow(FormatError);
  });

  it('takes what another origin sends, which may be compressed without a page seeing it', async () => {
    await expect(read(responseOf('cors', 'abcdef', 4))).resolves.toEqual({ bytes: 6, total: null });
    await expect(read(responseOf('cors', 'abcdef', 6))).resolves.toEqual({ bytes: 6, total: 6 });
  });
});
