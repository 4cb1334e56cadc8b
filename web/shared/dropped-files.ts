/** droppedFiles: the files of a drop, those inside of dropped folders too; each tells in `webkitRelativePath` where it lay, as those of a file input do. */

/** A folder of checkpoints can hold thousands of files; no model has as many. */
const MOST_FILES = 1000;

export async function droppedFiles({ items, files }: DataTransfer): Promise<File[]> {
  // Entries must be asked for before anything is awaited: a drop is over with its event.
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...files];
  const found: File[] = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry: FileSystemEntry, into: File[]): Promise<void> {
  if (into.length >= MOST_FILES) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    into.push(Object.defineProperty(file, 'webkitRelativePath', { value: entry.fullPath.replace(/^\//, '') }));
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return;
    for (const inside of batch) await collect(inside, into);
  }
}
