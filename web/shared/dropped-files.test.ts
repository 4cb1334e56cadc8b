import { describe, expect, it } from 'vitest';
import { droppedFiles } from './dropped-files.ts';

/** An entry of a drop: a file by its text, a folder by what is in it, which comes in batches. */
type Tree = string | { readonly [name: string]: Tree };

function entryOf(tree: Tree, fullPath: string): FileSystemEntry {
  const name = fullPath.slice(fullPath.lastIndexOf('/') + 1);
  if (typeof tree === 'string') {
    const file = (resolve: (file: File) => void) => resolve(new File([tree], name));
    return { isFile: true, isDirectory: false, name, fullPath, file } as unknown as FileSystemEntry;
  }
  const left = Object.entries(tree).map(([inside, content]) => entryOf(content, `${fullPath}/${inside}`));
  const readEntries = (resolve: (batch: FileSystemEntry[]) => void) => resolve(left.splice(0, 1));
  return {
    isFile: false,
    isDirectory: true,
    name,
    fullPath,
    createReader: () => ({ readEntries }),
  } as unknown as FileSystemEntry;
}

function dropOf(tree: { readonly [name: string]: Tree }): DataTransfer {
  const items = Object.entries(tree).map(([name, content]) => ({
    webkitGetAsEntry: () => entryOf(content, `/${name}`),
  }));
  return { items, files: [] } as unknown as DataTransfer;
}

describe('droppedFiles', () => {
  it('finds the files inside of folders and says where they lay', async () => {
    const runs = { a: { 'metrics.jsonl': '1' }, b: { 'metrics.jsonl': '2', checkpoints: { 'state.json': '3' } } };
    const files = await droppedFiles(dropOf({ runs, 'model.gguf': '4' }));
    const found = await Promise.all(files.map(async (file) => [file.webkitRelativePath, await file.text()]));
    expect(found).toEqual([
      ['runs/a/metrics.jsonl', '1'],
      ['runs/b/metrics.jsonl', '2'],
      ['runs/b/checkpoints/state.json', '3'],
      ['model.gguf', '4'],
    ]);
  });
});
