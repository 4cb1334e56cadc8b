import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import ts from 'typescript';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { findCheckpoint, readCheckpoint, saveCheckpoint } from './checkpoint-directory.ts';

let run: string;
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'qsparse-checkpoint-'));
  onTestFinished(() => rmSync(run, { recursive: true }));
});

function files(step: number) {
  const tensor = (name: string, value: number) => {
    return { name, dtype: 'F32' as const, shape: [4], data: new Float32Array(4).fill(value) };
  };
  return {
    config: { dim: 8, step },
    tokenizer: { version: '1.0', step },
    state: { progress: { step, tokens: step * 10 }, formatVersion: 'of the trainer' },
    model: [tensor('w', step), tensor('v', -step)],
    optimizer: [tensor('w.m', step / 2)],
  };
}

const save = (step: number, { keepLast = 2, best = false } = {}) =>
  saveCheckpoint(run, { step, files: files(step), keepLast, best });
const steps = () => readdirSync(join(run, 'checkpoints')).sort();

/** Reads a checkpoint and checks that all of its parts are of one step. */
function stepOf(path: string): number {
  const checkpoint = readCheckpoint(path);
  const { step } = checkpoint;
  expect(checkpoint.config).toEqual({ dim: 8, step });
  expect(checkpoint.tokenizer).toEqual({ version: '1.0', step });
  expect(checkpoint.state).toEqual(files(step).state);
  expect(checkpoint.model.tensor('w').data[0]).toBe(step);
  expect(checkpoint.model.tensor('v').data[3]).toBe(-step);
  expect(checkpoint.optimizer!.tensor('w.m').data[0]).toBe(step / 2);
  checkpoint.close();
  return step;
}

describe('saveCheckpoint', () => {
  it('keeps the newest and the best', () => {
    save(100, { best: true });
    expect(stepOf(save(200))).toBe(200);
    save(300);
    save(400);
    expect(steps()).toEqual(['step-000100', 'step-000300', 'step-000400']);
    expect(stepOf(findCheckpoint(run, 'latest'))).toBe(400);
    expect(stepOf(findCheckpoint(run, 'best'))).toBe(100);
    save(500, { best: true, keepLast: 1 });
    expect(steps()).toEqual(['step-000500']);
    expect(stepOf(findCheckpoint(run, 'best'))).toBe(500);
    save(600, { keepLast: 0 });
    expect(steps()).toEqual(['step-000500', 'step-000600']);
  });

  it('replaces a step that is saved again and drops the steps after it', () => {
    save(100);
    save(200, { best: true });
    save(300);
    save(100);
    expect(steps()).toEqual(['step-000100', 'step-000200']);
    expect(stepOf(findCheckpoint(run, 'latest'))).toBe(100);
  });

  it('takes the tokenizer as text', () => {
    const path = saveCheckpoint(run, {
      step: 1,
      files: { ...files(1), tokenizer: '{"a": 1}' },
      keepLast: 1,
      best: false,
    });
    expect(readFileSync(join(path, 'tokenizer.json'), 'utf8')).toBe('{"a": 1}');
  });

  it('leaves everything as it was where a write fails, and says so in one line', () => {
    save(100, { best: true });
    const broken = { ...files(200) };
    Object.defineProperty(broken, 'optimizer', {
      get: () => {
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      },
    });
    const fails = (step: number) => () => saveCheckpoint(run, { step, files: broken, keepLast: 1, best: true });
    expect(fails(200)).toThrow(FormatError);
    expect(fails(200)).toThrow(/^\[save\] cannot write [^\n]*step-000200: the disk is full; [^\n]*$/);
    expect(fails(100)).toThrow(/What was there before is intact/);
    expect(steps()).toEqual(['step-000100']);
    expect(stepOf(findCheckpoint(run, 'latest'))).toBe(100);
    expect(stepOf(findCheckpoint(run, 'best'))).toBe(100);
  });
});

it('never goes on from a state that knows a better loss than the best checkpoint has', () => {
  save(100, { best: true });
  // A kill between the two pointers: the second cannot be written.
  rmSync(join(run, 'latest.json'));
  mkdirSync(join(run, 'latest.json', 'in the way'), { recursive: true });
  expect(() => save(200, { best: true })).toThrow(FormatError);
  expect(stepOf(findCheckpoint(run, 'best'))).toBe(200);
});

describe('findCheckpoint', () => {
  it('takes a checkpoint directory for itself, also one that was copied elsewhere', () => {
    const path = save(100);
    expect(findCheckpoint(path, 'best')).toBe(path);
    cpSync(path, join(run, 'copy'), { recursive: true });
    expect(stepOf(findCheckpoint(join(run, 'copy'), 'latest'))).toBe(100);
  });

  it('scans where pointers are missing, damaged or dangling', () => {
    for (const step of [100, 200, 300]) save(step, { keepLast: 9 });
    for (const pointer of [
      null,
      '',
      '{"checkpoint":"../../etc"}',
      '{"checkpoint":"step-000900"}',
      '{"checkpoint":7}',
    ]) {
      rmSync(join(run, 'latest.json'), { force: true });
      if (pointer !== null) writeFileSync(join(run, 'latest.json'), pointer);
      expect(stepOf(findCheckpoint(run, 'latest'))).toBe(300);
      expect(stepOf(findCheckpoint(run, 'best'))).toBe(300);
    }
  });

  it('does not pass over the checkpoint that is pointed at, damaged or of another version', () => {
    for (const step of [100, 200]) save(step, { keepLast: 9 });
    const path = join(run, 'checkpoints/step-000200');
    const state = join(path, 'state.json');
    const before = readFileSync(state, 'utf8');
    writeFileSync(state, before.replace('"formatVersion": 1', '"formatVersion": 2'));
    expect(() => findCheckpoint(run, 'latest')).toThrow(/state\.json: expected formatVersion 1, found 2/);
    writeFileSync(state, before);
    truncateSync(join(path, 'model.safetensors'), 20);
    for (const which of ['latest', 'best'] as const) {
      expect(() => findCheckpoint(run, which)).toThrow(
        /model\.safetensors: expected \d+ bytes, found 20.*delete .*200/,
      );
    }
    rmSync(path, { recursive: true });
    expect(stepOf(findCheckpoint(run, 'latest'))).toBe(100);
  });

  it('passes over checkpoints that are not complete where no pointer names one', () => {
    for (const step of [100, 200, 300, 400]) save(step, { keepLast: 9 });
    rmSync(join(run, 'latest.json'));
    truncateSync(join(run, 'checkpoints/step-000400/model.safetensors'), 20);
    rmSync(join(run, 'checkpoints/step-000300/tokenizer.json'));
    mkdirSync(join(run, 'checkpoints/step-000999'));
    expect(stepOf(findCheckpoint(run, 'latest'))).toBe(200);
  });

  it('finds one that stepped aside for a replacement that never came', () => {
    const path = save(100);
    renameSync(path, join(run, 'checkpoints/.old-step-000100'));
    expect(stepOf(findCheckpoint(run, 'latest'))).toBe(100);
    rmSync(join(run, 'latest.json'));
    expect(stepOf(findCheckpoint(run, 'latest'))).toBe(100);
  });

  it('says what to do where there is none', () => {
    expect(() => findCheckpoint(run, 'latest')).toThrow(FormatError);
    expect(() => findCheckpoint(run, 'latest')).toThrow(/Train first/);
    expect(() => findCheckpoint(join(run, 'none'), 'best')).toThrow(/does not exist: .*Check the path/);
    writeFileSync(join(run, 'file'), '');
    expect(() => findCheckpoint(join(run, 'file'), 'best')).toThrow(FormatError);
  });
});

describe('readCheckpoint', () => {
  it('reads without the optimizer', () => {
    const path = save(100);
    rmSync(join(path, 'optimizer.safetensors'));
    const checkpoint = readCheckpoint(findCheckpoint(run, 'latest'));
    expect(checkpoint.optimizer).toBeNull();
    checkpoint.close();
  });

  it('looks at no file that state.json names beyond its own', () => {
    const path = save(100);
    const state = JSON.parse(readFileSync(join(path, 'state.json'), 'utf8')) as { fileBytes: Record<string, number> };
    state.fileBytes['../../latest.json'] = 1;
    writeFileSync(join(path, 'state.json'), JSON.stringify(state));
    expect(stepOf(path)).toBe(100);
  });

  it('refuses other versions, missing and shortened files by name', () => {
    const path = save(100);
    const damage = (name: string, content: string | null, message: RegExp) => {
      const before = readFileSync(join(path, name));
      if (content === null) rmSync(join(path, name));
      else writeFileSync(join(path, name), content);
      expect(() => readCheckpoint(path)).toThrow(FormatError);
      expect(() => readCheckpoint(path)).toThrow(message);
      writeFileSync(join(path, name), before);
    };
    damage('config.json', '{"formatVersion": 2}', /config.json: expected formatVersion 1, found 2\./);
    damage('config.json', '{}', /expected formatVersion 1, found none/);
    damage('config.json', '{"dim":', /config.json: cannot be read/);
    damage('config.json', '[]', /expected a JSON object/);
    damage('config.json', null, /config.json: cannot be read: ENOENT/);
    damage('state.json', '{}', /state.json: expected formatVersion 1, found none/);
    damage('model.safetensors', 'x', /model.safetensors: expected \d+ bytes, found 1\./);
    damage('optimizer.safetensors', '', /optimizer.safetensors: expected \d+ bytes, found 0/);
    damage('tokenizer.json', null, /tokenizer.json: is missing/);
    expect(stepOf(path)).toBe(100);
  });
});

/** The modules of this folder, and those of util that they import, as JavaScript, for a process that has no test runner to translate them. */
function transpiledFormats(to: string): string {
  const source = join(import.meta.dirname, '..');
  const modules = (folder: string) =>
    readdirSync(join(source, folder)).flatMap((name) => (/^[^.]+\.ts$/.test(name) ? [`${folder}/${name}`] : []));
  for (const name of [...modules('formats'), ...modules('util')]) {
    const { outputText } = ts.transpileModule(readFileSync(join(source, name), 'utf8'), {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        rewriteRelativeImportExtensions: true,
      },
    });
    mkdirSync(join(to, name, '..'), { recursive: true });
    writeFileSync(join(to, name.replace(/\.ts$/, '.js')), outputText);
  }
  writeFileSync(join(to, 'package.json'), '{"type":"module"}');
  return join(to, 'formats/checkpoint-directory.js');
}

describe('a process that is killed while it saves', () => {
  it('always leaves checkpoints that are whole, and at most one step is lost', async () => {
    const module = transpiledFormats(join(run, 'js'));
    const out = join(run, 'run');
    // Saves step after step, every other one twice, and reports each one that is done.
    const script = `
      import { saveCheckpoint } from ${JSON.stringify(module)};
      const first = Number(process.argv[1]);
      const tensor = (name, value) => ({ name, dtype: 'F32', shape: [4, 4096], data: new Float32Array(16384).fill(value) });
      for (let step = first; ; step++) {
        const files = {
          config: { dim: 8, step },
          tokenizer: { version: '1.0', step },
          state: { progress: { step, tokens: step * 10 }, formatVersion: 'of the trainer' },
          model: [tensor('w', step), tensor('v', -step)],
          optimizer: [tensor('w.m', step / 2)],
        };
        for (let i = 0; i <= step % 2; i++) saveCheckpoint(${JSON.stringify(out)}, { step, files, keepLast: 2, best: step % 3 === 0 });
        process.stdout.write(step + '\\n');
      }`;
    let saved = 0;
    let bestBefore = 0;
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, String(saved + 1)]);
      let output = '';
      child.stdout.on('data', (data) => {
        output += data;
      });
      await once(child.stdout, 'data');
      await setTimeout(Math.random() * 60);
      child.kill('SIGKILL');
      await once(child, 'close');
      // The last line may be cut by the kill.
      const reported = Number(output.slice(0, output.lastIndexOf('\n')).split('\n').pop());
      const latest = stepOf(findCheckpoint(out, 'latest'));
      expect(latest).toBeGreaterThanOrEqual(reported);
      expect(latest).toBeLessThanOrEqual(reported + 1);
      const best = stepOf(findCheckpoint(out, 'best'));
      // The pointer to the best is written before the one to the latest; the kill may have come between.
      const reportedBest = reported - (reported % 3);
      if (existsSync(join(out, 'best.json'))) {
        expect(best).toBeGreaterThanOrEqual(reportedBest > saved ? reportedBest : bestBefore);
        expect(best).toBeLessThanOrEqual(latest + 1);
        expect(best % 3).toBe(0);
        bestBefore = best;
      }
      saved = latest;
    }
    // The next save cleans up after all of them.
    saveCheckpoint(out, { step: saved + 1, files: files(saved + 1), keepLast: 2, best: true });
    expect(readdirSync(join(out, 'checkpoints')).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(stepOf(findCheckpoint(out, 'best'))).toBe(saved + 1);
  }, 60_000);
});
