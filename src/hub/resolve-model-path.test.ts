import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeHub, startFakeHub } from '../../test/support/fake-hub.ts';
import { defaultCacheFolder } from './cache-layout.ts';
import { parseModelId } from './model-id.ts';
import { type DownloadProgress, resolveModelPath } from './resolve-model-path.ts';

// The pauses between attempts are seconds.
vi.mock('node:timers/promises', () => ({ setTimeout: () => Promise.resolve() }));

const ID = 'some-owner/Some.Model_1';
const FOLDER = 'models--some-owner--Some.Model_1';

let hub: FakeHub;
let cache: string;
beforeEach(async () => {
  hub = await startFakeHub(ID);
  hub.files = MODEL;
  cache = mkdtempSync(join(tmpdir(), 'qsparse-hub-'));
});
afterEach(async () => {
  await hub.close();
  rmSync(cache, { recursive: true });
});

const text = (path: string, content: string) => ({ path, content: Buffer.from(content) });
const large = (path: string, bytes: number) => {
  const content = Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + bytes) % 251));
  return { path, content, large: true };
};
const WEIGHTS = large('model.safetensors', 300_000);
const MODEL = [
  text('config.json', '{"model_type":"llama"}'),
  text('tokenizer.json', '{}'),
  text('README.md', 'not needed'),
  large('pytorch_model.bin', 500),
  WEIGHTS,
];

const resolve = (id = ID, more: object = {}) =>
  resolveModelPath(id, { cacheFolder: cache, hubUrl: hub.url, offline: false, ...more });
const inRepository = (...parts: string[]) => join(cache, FOLDER, ...parts);
/** Named by SHA-256, as large files are. */
const weightsBlob = () => inRepository('blobs', readdirSync(inRepository('blobs')).find((name) => name.length === 64)!);
/** Above the largest process number of Linux. */
const DEAD_PID = 2 ** 22 + 1;

describe('resolveModelPath', () => {
  it('fetches the files of the model and no others, where Python has them too', async () => {
    const seen: DownloadProgress[] = [];
    const path = await resolve(ID, { onProgress: (progress: DownloadProgress) => seen.push(progress) });
    expect(path).toBe(inRepository('snapshots', hub.commit));
    expect(readdirSync(path).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS.content)).toBe(true);
    expect(readFileSync(inRepository('refs/main'), 'utf8')).toBe(hub.commit);
    expect(lstatSync(join(path, 'config.json')).isSymbolicLink()).toBe(true);
    // As `git hash-object` and `sha256sum` name the contents.
    expect(readdirSync(inRepository('blobs')).sort()).toEqual([
      '0972e95c1405cc1507c19dcbe784f7a36c930907',
      '9e26dfeeb6e641a33dae4961196235bdb965b21b',
      'ddb41ce725f8b839156ab713689fb05255c29c9af8f961b4db6d0122966f6826',
    ]);
    const total = MODEL[0].content.length + 2 + WEIGHTS.content.length;
    expect(seen.at(-1)).toEqual({ file: 'tokenizer.json', done: total, total });
    const before = hub.requests.length;
    expect(await resolve()).toBe(path);
    // Asked again is what the branch is at, and the list.
    expect(hub.requests.slice(before).every((request) => request.startsWith('/api/'))).toBe(true);
  });

  it('goes on where a connection broke off, within a run and in the next one', async () => {
    hub.cuts = [1000, 2, 50_000];
    hub.files = [MODEL[0], WEIGHTS];
    const path = await resolve();
    expect(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS.content)).toBe(true);
    const ranges = hub.requests.filter((request) => /store.* bytes=[1-9]/.test(request));
    expect(ranges.length).toBeGreaterThan(0);
    rmSync(inRepository('snapshots'), { recursive: true });
    const blob = weightsBlob();
    rmSync(blob);
    const left = `${blob}.${hostname()}-${DEAD_PID}-0123abcd.incomplete`;
    writeFileSync(left, WEIGHTS.content.subarray(0, 123_456));
    hub.requests.length = 0;
    const progress: DownloadProgress[] = [];
    await resolve(ID, { onProgress: (one: DownloadProgress) => progress.push(one) });
    expect(hub.requests).toContain('/store/model.safetensors bytes=123456-299999');
    expect(progress.some(({ done }) => done === MODEL[0].content.length + 123_456)).toBe(true);
    expect(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS.content)).toBe(true);
    expect(existsSync(left)).toBe(false);
  });

  it('takes over what others left once nobody writes to it, also under the number of a process that lives', async () => {
    await resolve();
    const blob = weightsBlob();
    const fetched = async () => {
      rmSync(blob);
      hub.requests.length = 0;
      await resolve();
      return hub.requests.find((request) => request.startsWith('/store/model') && !request.endsWith('=0-0'));
    };
    const own = `${blob}.${hostname()}-${process.ppid}-0123abcd.incomplete`;
    const others = [`${blob}.incomplete`, `${blob}.other-host.example-${DEAD_PID}-0123abcd.incomplete`];
    for (const path of [own, ...others]) writeFileSync(path, WEIGHTS.content.subarray(0, 1000));
    expect(await fetched()).toBe('/store/model.safetensors');
    for (const path of [own, ...others]) expect(statSync(path).size).toBe(1000);
    const hourAgo = Date.now() / 1000 - 3600;
    for (const path of [own, ...others]) utimesSync(path, hourAgo, hourAgo);
    expect(await fetched()).toBe('/store/model.safetensors bytes=1000-299999');
    expect([own, ...others].map((path) => existsSync(path))).toEqual([false, false, false]);
  });

  it('several times at once: each writes a file of its own', async () => {
    hub.cuts = [100_000];
    const paths = await Promise.all([resolve(), resolve(), resolve()]);
    expect(new Set(paths)).toEqual(new Set([inRepository('snapshots', hub.commit)]));
    expect(readFileSync(join(paths[0], WEIGHTS.path)).equals(WEIGHTS.content)).toBe(true);
    const names = readdirSync(inRepository(), { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => /incomplete|tmp/.test(name))).toEqual([]);
  });

  it('takes the blob of a process that was faster, and begins anew where there is none', async () => {
    await resolve();
    const blob = weightsBlob();
    for (const isFaster of [true, false]) {
      rmSync(blob);
      hub.cuts = [2, 200_000];
      let isTaken = false;
      const takeAway = ({ file, done }: DownloadProgress) => {
        if (isTaken || file !== WEIGHTS.path || done < 100_000) return;
        isTaken = true;
        const [mine] = readdirSync(inRepository('blobs')).filter((name) => name.endsWith('.incomplete'));
        rmSync(inRepository('blobs', mine));
        if (isFaster) writeFileSync(blob, WEIGHTS.content);
      };
      const path = await resolve(ID, { onProgress: takeAway });
      expect(isTaken).toBe(true);
      expect(readFileSync(join(path, WEIGHTS.path)).equals(WEIGHTS.content)).toBe(true);
      expect(statSync(blob).size).toBe(WEIGHTS.content.length);
    }
  });

  it('shows the token to the hub at every request, and to nobody that it sends on to', async () => {
    await resolve(ID, { accessToken: 'hf_secret' });
    const [store, others] = [true, false].map((isStore) =>
      hub.authorizations.filter(([path]) => path.startsWith('/store/') === isStore),
    );
    for (const part of ['/revision/', '/tree/', '/resolve/'])
      expect(
        others.some(([path]) => path.includes(part)),
        part,
      ).toBe(true);
    expect(new Set(others.map(([, authorization]) => authorization))).toEqual(new Set(['Bearer hf_secret']));
    expect(store.length).toBeGreaterThan(0);
    expect(new Set(store.map(([, authorization]) => authorization))).toEqual(new Set([undefined]));
  });

  it('takes the token of HF_TOKEN, and shows none where there is none', async () => {
    const before = process.env.HF_TOKEN;
    try {
      delete process.env.HF_TOKEN;
      await resolve();
      expect(new Set(hub.authorizations.map(([, authorization]) => authorization))).toEqual(new Set([undefined]));
      hub.authorizations.length = 0;
      process.env.HF_TOKEN = 'hf_other';
      await resolve();
      expect(hub.authorizations.length).toBeGreaterThan(0);
      for (const [, authorization] of hub.authorizations) expect(authorization).toBe('Bearer hf_other');
    } finally {
      if (before === undefined) delete process.env.HF_TOKEN;
      else process.env.HF_TOKEN = before;
    }
  });

  it('fetches a blob again that has lost bytes', async () => {
    const path = await resolve();
    writeFileSync(weightsBlob(), WEIGHTS.content.subarray(0, 10));
    expect(await resolve()).toBe(path);
    expect(readFileSync(join(path, WEIGHTS.path)).equals(WEIGHTS.content)).toBe(true);
  });

  it('removes what has the wrong hash, and never gives it a name', async () => {
    const other = Buffer.from(WEIGHTS.content);
    other[7] ^= 1;
    hub.damaged.set(WEIGHTS.path, other);
    await expect(resolve()).rejects.toThrow(/cannot fetch model\.safetensors .*expected the hash [0-9a-f]{64}, found/);
    const names = readdirSync(cache, { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => /incomplete|model\.safetensors|refs/.test(name))).toEqual([]);
    hub.damaged.clear();
    expect(existsSync(join(await resolve(), 'model.safetensors'))).toBe(true);
  });

  it('begins anew where a server knows no ranges', async () => {
    hub.ignoreRanges = true;
    hub.cuts = [1000];
    hub.files = [large('a.gguf', 5000)];
    const progress: DownloadProgress[] = [];
    const path = await resolve(ID, { onProgress: (one: DownloadProgress) => progress.push(one) });
    expect(readFileSync(path).equals(hub.files[0].content)).toBe(true);
    expect(hub.requests).toContain('/store/a.gguf bytes=1000-4999');
    expect(progress.at(-1)).toEqual({ file: 'a.gguf', done: 5000, total: 5000 });
  });

  it('gives up where a server that knows no ranges always breaks off', async () => {
    hub.ignoreRanges = true;
    hub.cuts = new Array(20).fill(1000);
    hub.files = [large('a.gguf', 5000)];
    await expect(resolve(ID)).rejects.toThrow(/cannot fetch a\.gguf/);
    // The first try brings something, the five after it nothing new; each asks for one byte first, to know the size.
    const [anew, on] = ['/store/a.gguf', '/store/a.gguf bytes=1000-4999'];
    const tries = hub.requests.filter((request) => request.startsWith('/store/') && !request.endsWith('bytes=0-0'));
    expect(tries).toEqual([anew, on, anew, on, anew, on]);
  });

  it('needs no network offline, and says what is missing', async () => {
    const offline = { offline: true, hubUrl: 'http://127.0.0.1:1' };
    await expect(resolve(ID, offline)).rejects.toThrow(/is not in the cache: .*without HF_HUB_OFFLINE/);
    const path = await resolve();
    hub.requests.length = 0;
    expect(await resolve(ID, offline)).toBe(path);
    expect(await resolve(`${ID}@${hub.commit}`, offline)).toBe(path);
    await expect(resolve(`${ID}@other`, offline)).rejects.toThrow(/@other is not in the cache/);
    expect(hub.requests).toEqual([]);
    rmSync(join(path, 'model.safetensors'));
    await expect(resolve(ID, offline)).rejects.toThrow(/holds no model/);
  });

  it('fetches the shards that an index names, and refuses those that lead elsewhere', async () => {
    const shards = [large('model-00001-of-00002.safetensors', 4000), large('model-00002-of-00002.safetensors', 10)];
    const index = (...names: unknown[]) =>
      text('model.safetensors.index.json', JSON.stringify({ weight_map: { a: names[0], b: names[1], c: names[0] } }));
    hub.files = [MODEL[0], index(shards[0].path, shards[1].path), ...shards, large('other.safetensors', 5)];
    const path = await resolve();
    expect(readdirSync(path)).toHaveLength(4);
    expect(statSync(join(path, shards[0].path)).size).toBe(4000);
    const evil = ['../../evil.safetensors', '/etc/evil.safetensors', 'a\\b.safetensors', '.a.safetensors', 7];
    for (const [i, name] of evil.entries()) {
      hub.commit = String(i + 2).repeat(40);
      hub.files = [MODEL[0], index(name, name), ...shards];
      await expect(resolve()).rejects.toThrow(/weight_map: expected names of \.safetensors files, found/);
    }
    hub.commit = '9'.repeat(40);
    hub.files = [MODEL[0], index('none.safetensors', 'none.safetensors')];
    await expect(resolve()).rejects.toThrow(/names none\.safetensors: expected it in the repository/);
  });

  it('takes the one GGUF file, or the one that is named', async () => {
    hub.files = [large('tiny-q8_0.gguf', 100), MODEL[2]];
    const path = await resolve();
    expect(path).toBe(inRepository('snapshots', hub.commit, 'tiny-q8_0.gguf'));
    expect(await resolve(ID, { offline: true })).toBe(path);
    hub.commit = '3'.repeat(40);
    hub.files = [...hub.files, large('more/tiny-f16.gguf', 50)];
    await expect(resolve()).rejects.toThrow(
      /several GGUF files\. Name one, .*:FILE: tiny-q8_0\.gguf, more\/tiny-f16\.gguf/,
    );
    const named = await resolve(`${ID}:more/tiny-f16.gguf`);
    expect(statSync(named).size).toBe(50);
    await expect(resolve(`${ID}:none.gguf`)).rejects.toThrow(/has no file "none\.gguf"/);
    hub.files = [MODEL[2]];
    await expect(resolve()).rejects.toThrow(
      /holds no model: expected config\.json and model\.safetensors, or a \.gguf file/,
    );
  });

  it('refuses what a server should never say', async () => {
    for (const path of [
      '../evil.gguf',
      'a/../../evil.gguf',
      '/evil.gguf',
      'C:evil.gguf',
      'a\\..\\evil.gguf',
      'a\0.gguf',
    ]) {
      hub.files = [{ path, content: Buffer.from('x') }];
      await expect(resolve()).rejects.toThrow(/leads out of its folder/);
    }
    expect(readdirSync(cache)).toEqual([]);
    hub.commit = '../../evil';
    await expect(resolve()).rejects.toThrow(/expected the hash of a commit/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('says in one line why the Hub gives nothing', async () => {
    hub.status = 401;
    await expect(resolve()).rejects.toThrow(/^\[hub\] some-owner.* cannot be found at .*status 401.*set HF_TOKEN\.$/);
    hub.status = null;
    // A model behind a licence: everybody may list it.
    hub.contentStatus = 403;
    await expect(resolve()).rejects.toThrow(/cannot fetch .*Accept the licence .* HF_TOKEN\.$/);
    hub.contentStatus = null;
    hub.status = 503;
    await expect(resolve()).rejects.toThrow(/status 503.*Try again later/);
    await expect(resolve(ID, { hubUrl: 'http://127.0.0.1:1' })).rejects.toThrow(
      /ECONNREFUSED|bad port.*HF_HUB_OFFLINE/,
    );
  });

  it('stops where it is asked to and keeps what has come in', async () => {
    const controller = new AbortController();
    const onProgress = ({ file, done }: DownloadProgress) => {
      if (file === WEIGHTS.path && done > 50_000) controller.abort();
    };
    await expect(resolve(ID, { signal: controller.signal, onProgress })).rejects.toThrow(/aborted/);
    const incomplete = readdirSync(inRepository('blobs')).filter((name) => name.endsWith('.incomplete'));
    expect(incomplete).toHaveLength(1);
    expect(statSync(inRepository('blobs', incomplete[0])).size).toBeGreaterThan(0);
    expect(existsSync(join(await resolve(), WEIGHTS.path))).toBe(true);
  });

  it('leaves paths and whatever is no id alone', async () => {
    const path = join(cache, 'here');
    mkdirSync(path);
    for (const given of [path, 'runs', './some/run', '/no/such/path', 'a/b/c', '../x/y', '~/x', 'owner/..']) {
      expect(await resolve(given)).toBe(given);
    }
    expect(hub.requests).toEqual([]);
  });
});

describe('parseModelId', () => {
  it('takes ids apart', () => {
    expect(parseModelId('a/b')).toEqual({ repository: 'a/b', revision: 'main', file: null });
    expect(parseModelId('a/b.c@refs/pr/1')).toEqual({ repository: 'a/b.c', revision: 'refs/pr/1', file: null });
    expect(parseModelId('a/b@v1:q/x.gguf')).toEqual({ repository: 'a/b', revision: 'v1', file: 'q/x.gguf' });
  });

  it('takes nothing that could lead out of a folder', () => {
    const wrong = [
      'a',
      'a/',
      '/a/b',
      'a/b/c',
      'a/..',
      '../b',
      'a/b@',
      'a/b@../x',
      'a/b@/x',
      'a/b:../x',
      'a/b:/x',
      'a\\b/c',
      'a/b@.x',
    ];
    for (const id of [...wrong, 'a--b/c', 'a/b c', 'a/b\n']) expect(parseModelId(id), id).toBeNull();
  });
});

describe('defaultCacheFolder', () => {
  it('follows the variables of huggingface_hub, the nearest first', () => {
    expect(defaultCacheFolder({ HF_HUB_CACHE: '/a', HF_HOME: '/b' })).toBe('/a');
    expect(defaultCacheFolder({ HF_HOME: '/b', XDG_CACHE_HOME: '/c' })).toBe('/b/hub');
    expect(defaultCacheFolder({ XDG_CACHE_HOME: '/c' })).toBe('/c/huggingface/hub');
    expect(defaultCacheFolder({})).toMatch(/\.cache\/huggingface\/hub$/);
  });
});
