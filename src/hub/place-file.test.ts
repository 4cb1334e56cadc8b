import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { linkFile } from './place-file.ts';

/** Of a system that allows no links. */
const noLink = () => {
  throw Object.assign(new Error('EPERM: operation not permitted, symlink'), { code: 'EPERM' });
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qsparse-place-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
});

it('copies where the system allows no links, also over the half of a copy', async () => {
  const [blob, path] = [join(folder, 'blob'), join(folder, 'snapshot/config.json')];
  writeFileSync(blob, 'whole');
  await linkFile(blob, path, noLink);
  expect(readFileSync(path, 'utf8')).toBe('whole');
  writeFileSync(path, 'wh');
  await linkFile(blob, path, noLink);
  expect(readFileSync(path, 'utf8')).toBe('whole');
  expect(readdirSync(join(folder, 'snapshot'))).toEqual(['config.json']);
});

it('leaves nothing behind where a copy cannot be put into its place', async () => {
  const [blob, path] = [join(folder, 'blob'), join(folder, 'snapshot/config.json')];
  writeFileSync(blob, 'whole');
  mkdirSync(join(path, 'in the way'), { recursive: true });
  await expect(linkFile(blob, path, noLink)).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(readdirSync(join(folder, 'snapshot'))).toEqual(['config.json']);
});
