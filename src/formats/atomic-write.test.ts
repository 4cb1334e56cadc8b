import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { FormatError } from '../util/errors.ts';
import {
  resolveDirectory,
  writeDirectoryAtomically,
  writeDirectoryInSteps,
  writeFileAtomically,
} from './atomic-write.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-atomic-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
});

const diskFull = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
/** Above the largest process number of Linux. */
const DEAD_PID = 2 ** 22 + 1;

/** What stands for this host in the name of a temporary. */
function placeHere(): string {
  let name = '';
  writeFileAtomically(join(directory, 'probe'), (temporary) => {
    name = basename(temporary);
    writeFileSync(temporary, '');
  });
  rmSync(join(directory, 'probe'));
  return name.split('-')[1];
}

describe('writeFileAtomically', () => {
  it('writes and replaces, and makes the parent', () => {
    const path = join(directory, 'a/b/file.json');
    writeFileAtomically(path, 'one');
    writeFileAtomically(path, (temporary) => writeFileSync(temporary, 'two'));
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(readdirSync(join(directory, 'a/b'))).toEqual(['file.json']);
  });

  it('leaves the old file where writing fails, and nothing else', () => {
    const path = join(directory, 'file');
    writeFileAtomically(path, 'old');
    const write = () =>
      writeFileAtomically(path, (temporary) => {
        writeFileSync(temporary, 'half of the n');
        throw diskFull();
      });
    expect(write).toThrow(FormatError);
    expect(write).toThrow(/^\[save\] cannot write .*file: the disk is full; .*What was there before is intact\.$/);
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(directory)).toEqual(['file']);
  });

  it('finds the full disk behind other errors', () => {
    const write = () =>
      writeFileAtomically(join(directory, 'new'), () => {
        throw new FormatError('safetensors', 'cannot write.', undefined, { cause: diskFull() });
      });
    expect(write).toThrow(/new: the disk is full; free some space and try again\.$/);
  });

  it('reports a place that cannot be written', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(() => writeFileAtomically(join(directory, 'file/below'), 'x')).toThrow(FormatError);
  });

  it('removes temporaries of ended processes only', () => {
    const place = placeHere();
    writeFileSync(join(directory, `.tmp-${place}-${DEAD_PID}-file`), 'left over');
    writeFileSync(join(directory, `.tmp-${place}-${process.ppid}-file`), 'being written');
    // Of the same host before it was started again, when this number was another process.
    writeFileSync(join(directory, `.tmp-${place.slice(0, 8)}01234567-${process.ppid}-file`), 'left over');
    writeFileAtomically(join(directory, 'file'), 'x');
    expect(readdirSync(directory).sort()).toEqual([`.tmp-${place}-${process.ppid}-file`, 'file']);
  });

  it('leaves those of other hosts and containers for a day, whose process numbers mean nothing here', () => {
    const others = [`.tmp-0123456789abcdef-${DEAD_PID}-model`, `.tmp-${DEAD_PID}-old-version`].map((name) =>
      join(directory, name),
    );
    for (const other of others) {
      mkdirSync(other);
      writeFileSync(join(other, 'model.safetensors'), 'being written');
    }
    const write = () => {
      writeFileAtomically(join(directory, 'file'), 'x');
      return others.map((other) => existsSync(other));
    };
    const age = (path: string, days: number) =>
      utimesSync(path, Date.now() / 1000 - days * 86_400, Date.now() / 1000 - days * 86_400);
    expect(write()).toEqual([true, true]);
    // The directory is as old as its newest file.
    for (const other of others) age(other, 2);
    expect(write()).toEqual([true, true]);
    for (const other of others) age(join(other, 'model.safetensors'), 2);
    expect(write()).toEqual([false, false]);
  });
});

describe('writeDirectoryAtomically', () => {
  const fill = (text: string) => (temporary: string) => {
    writeFileSync(join(temporary, 'a'), text);
    writeFileSync(join(temporary, 'b'), text);
  };

  it('writes and replaces', () => {
    const path = join(directory, 'sub');
    writeDirectoryAtomically(path, fill('one'));
    writeFileSync(join(path, 'extra'), '');
    writeDirectoryAtomically(path, fill('two'));
    expect(readdirSync(path).sort()).toEqual(['a', 'b']);
    expect(readFileSync(join(path, 'b'), 'utf8')).toBe('two');
    expect(readdirSync(directory)).toEqual(['sub']);
  });

  it('leaves the old directory where writing fails', () => {
    const path = join(directory, 'sub');
    writeDirectoryAtomically(path, fill('old'));
    const write = () =>
      writeDirectoryAtomically(path, (temporary) => {
        writeFileSync(join(temporary, 'a'), 'new');
        throw diskFull();
      });
    expect(write).toThrow(/the disk is full/);
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('old');
    expect(readdirSync(directory)).toEqual(['sub']);
  });

  it('finds the old one between the two renames, and takes over from there', () => {
    const path = join(directory, 'sub');
    writeDirectoryAtomically(path, fill('old'));
    renameSync(path, join(directory, '.old-sub'));
    mkdirSync(join(directory, `.tmp-${placeHere()}-${DEAD_PID}-sub`));
    expect(readFileSync(join(resolveDirectory(path)!, 'a'), 'utf8')).toBe('old');
    writeDirectoryAtomically(path, fill('new'));
    expect(resolveDirectory(path)).toBe(path);
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('new');
    expect(readdirSync(directory)).toEqual(['sub']);
    expect(resolveDirectory(join(directory, 'none'))).toBeUndefined();
    expect(existsSync(join(directory, '.old-sub'))).toBe(false);
  });
});

describe('writeDirectoryInSteps', () => {
  const fill = (text: string) => async (temporary: string) => {
    writeFileSync(join(temporary, 'a'), text);
    await new Promise((resolve) => setImmediate(resolve));
    writeFileSync(join(temporary, 'b'), text);
  };
  const content = (path: string) => readdirSync(path).map((name) => readFileSync(join(path, name), 'utf8'));

  it('writes where nothing or an empty directory is, and replaces only when it is told to', async () => {
    const path = join(directory, 'sub');
    await writeDirectoryInSteps(path, fill('one'), { replace: false });
    expect(content(path)).toEqual(['one', 'one']);
    const again = writeDirectoryInSteps(path, fill('two'), { replace: false });
    await expect(again).rejects.toThrow(FormatError);
    await expect(again).rejects.toThrow(/cannot write .*sub: ENOTEMPTY.* What was there before is intact\.$/);
    expect(content(path)).toEqual(['one', 'one']);
    await writeDirectoryInSteps(path, fill('two'), { replace: true });
    expect(content(path)).toEqual(['two', 'two']);
    mkdirSync(join(directory, 'empty'));
    await writeDirectoryInSteps(join(directory, 'empty'), fill('three'), { replace: false });
    expect(content(join(directory, 'empty'))).toEqual(['three', 'three']);
    expect(readdirSync(directory).sort()).toEqual(['empty', 'sub']);
  });

  it('passes on what is thrown on the way, and leaves nothing behind', async () => {
    const path = join(directory, 'sub');
    const stopped = new Error('stopped');
    const write = (error: Error) =>
      writeDirectoryInSteps(
        path,
        async (temporary) => {
          await fill('half')(temporary);
          throw error;
        },
        { replace: true },
      );
    await expect(write(stopped)).rejects.toBe(stopped);
    await expect(write(new FormatError('pack', 'a weight is NaN.'))).rejects.toThrow('[pack] a weight is NaN.');
    await expect(write(diskFull())).rejects.toThrow(/^\[save\] cannot write .*sub: the disk is full/);
    expect(readdirSync(directory)).toEqual([]);
    await writeDirectoryInSteps(path, fill('old'), { replace: false });
    await expect(write(stopped)).rejects.toBe(stopped);
    expect(content(path)).toEqual(['old', 'old']);
    expect(readdirSync(directory)).toEqual(['sub']);
  });
});
