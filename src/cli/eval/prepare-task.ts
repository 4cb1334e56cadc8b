/** A task by its name becomes items: its file, its data below what the user named, its examples. */

import { findData, findDataIn } from '../../eval/data/find-data.ts';
import { readRows } from '../../eval/data/read-rows.ts';
import { loadTask } from '../../eval/data/task-files.ts';
import type { PreparedTask } from '../../eval/evaluate.ts';
import { type OnPrepare, prepareAnswers, prepareChoices } from '../../eval/prepare.ts';
import type { EvalTokenizer } from '../../eval/score-request.ts';
import type { Task } from '../../eval/task.ts';
import { itemsOf, type SourceRow } from '../../eval/task-items.ts';
import { UsageError } from '../../util/errors.ts';

export interface DataPlaces {
  /** Places for all tasks, and NAME=PLACE for one. */
  data?: string[];
  shots?: number;
  shotsData?: string;
  limit?: number;
}

/** Throws UsageError where data are missing, FormatError where they do not fit. */
export async function prepareTask(
  name: string,
  { data = [], shots: wantedShots, shotsData, limit }: DataPlaces,
  tokenizer: EvalTokenizer,
  maxTokens: number,
  onPrepare: OnPrepare,
): Promise<PreparedTask> {
  const task = loadTask(name);
  const { place, files } = dataOf(task, data);
  const rows = await rowsOf(files, task);
  const shots = wantedShots ?? task.shots.count;
  const shotRows = shots === 0 ? [] : await examplesOf(task, shotsData ?? place, shotsData !== undefined);
  const options = { limit, shots, shotRows };
  return task.type === 'generate'
    ? prepareAnswers(task, itemsOf(task, rows, options), tokenizer, maxTokens, onPrepare)
    : prepareChoices(task, itemsOf(task, rows, options), tokenizer, maxTokens, onPrepare);
}

/** The place of the task's own, or of those for all the first that has data of it. */
function dataOf({ name: task, files }: Task, data: readonly string[]): { place: string; files: string[] } {
  const own = data.find((entry) => entry.startsWith(`${task}=`))?.slice(task.length + 1);
  const shared = data.filter((entry) => !/^[\w.-]+=/.test(entry));
  const places = own === undefined ? shared : [own];
  if (places.length > 0) return findDataIn(places, files, task);
  throw new UsageError(
    '--data',
    `${task} has no data: expected --data PLACE or --data ${task}=PLACE. Name a file or a folder.`,
  );
}

async function rowsOf(files: readonly string[], { linesPerRow }: Task): Promise<SourceRow[]> {
  const rows: SourceRow[] = [];
  for (const file of files) rows.push(...(await readRows(file, linesPerRow)));
  return rows;
}

/** A file that was named for the items alone is not taken for the examples without being asked for. */
async function examplesOf(task: Task, place: string, isNamed: boolean): Promise<SourceRow[]> {
  const { files } = task.shots;
  if (files.length === 0 && !isNamed) {
    throw new UsageError('--shots', `${task.name} says nothing about where examples are. Name them with --shots-data.`);
  }
  const found = findData(place, files, `the examples of ${task.name}`);
  if (!isNamed && found.length === 1 && found[0] === place) {
    throw new UsageError(
      '--shots',
      `${place} is one file: expected --shots-data for the examples of ${task.name}, or --shots 0.`,
    );
  }
  return rowsOf(found, task);
}
