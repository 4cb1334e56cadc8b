/**
 * The id of a model on the Hub: `owner/name`, `owner/name@revision`, and `owner/name@revision:file.gguf` for one file of several.
 *
 * A revision is a branch, a tag or a commit. Everything in an id becomes part of a path on this disk, so only plain names pass.
 */

export interface ModelId {
  readonly repository: string;
  readonly revision: string;
  /** A file in the repository, where one is named. */
  readonly file: string | null;
}

const DEFAULT_REVISION = 'main';
const NAME = '[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_-])?';
const PATH = '[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*';
const ID = new RegExp(`^(${NAME}/${NAME})(?:@(${PATH}))?(?::(${PATH}))?$`);

/** null for what is no id. Names never begin with a point, so that none leads out of a folder. */
export function parseModelId(text: string): ModelId | null {
  const match = ID.exec(text);
  if (match === null || text.includes('..') || match[1].includes('--')) return null;
  const [, repository, revision = DEFAULT_REVISION, file = null] = match;
  return { repository, revision, file };
}
