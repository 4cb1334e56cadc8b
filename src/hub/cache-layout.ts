/**
 * Where models from the Hub lie on this disk: the layout of Python's huggingface_hub, so that both use the same files.
 *
 *     CACHE/models--owner--name/refs/main                  the commit that a branch or tag was at
 *     CACHE/models--owner--name/snapshots/COMMIT/FILE      links to
 *     CACHE/models--owner--name/blobs/OID                  contents, named by their hash; while they come in: incomplete-file.ts
 *
 * CACHE is $HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub.
 */

import { homedir } from 'node:os';
import { join } from 'node:path';

export interface CacheLayout {
  readonly folder: string;
  /** The file that holds the commit of a branch or tag. */
  ref(revision: string): string;
  snapshot(commit: string): string;
  blob(oid: string): string;
}

export function defaultCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = environment;
  const home = HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  return HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(home, 'hub');
}

export function cacheLayout(cacheFolder: string, repository: string): CacheLayout {
  const folder = join(cacheFolder, `models--${repository.replace('/', '--')}`);
  return {
    folder,
    ref: (revision) => join(folder, 'refs', revision),
    snapshot: (commit) => join(folder, 'snapshots', commit),
    blob: (oid) => join(folder, 'blobs', oid),
  };
}

/** A commit, as which a revision may be given; it needs no look at the Hub. */
export function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}
