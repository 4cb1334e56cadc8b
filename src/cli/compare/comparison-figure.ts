/**
 * The figure of `qsparse compare`: for each measure of quality two panels, against activated parameters and against ms a token. What one model does at
 * several sparsities is joined by a line.
 */

import type { TaskResult } from '../../eval/evaluate.ts';
import { type ScatterPanel, type ScatterPoint, scatterFigure } from '../../report/scatter-figure.ts';
import type { ComparedModel } from './compared-model.ts';
import type { MeasuredModel } from './measure-model.ts';

type Row = ComparedModel & MeasuredModel & { readonly vocabSize: number };

interface Quality {
  readonly title: string;
  /** null where a row has it not. */
  readonly of: (row: Row) => { value: number; error: number | null } | null;
}

export function comparisonFigure(rows: readonly Row[]): string {
  const panels = qualitiesOf(rows).flatMap((quality): ScatterPanel[] => [
    panel(rows, quality, 'activated parameters, millions', ({ activated }) => activated && activated / 1e6),
    panel(rows, quality, 'ms a token', ({ decode }) => decode?.msPerToken),
  ]);
  const names = rows.map(({ given }) => given).join(', ');
  return scatterFigure(`Quality of ${names} against activated parameters and against time a token`, panels);
}

/** Perplexities of different vocabularies do not compare; bits per byte do. */
function qualitiesOf(rows: readonly Row[]): Quality[] {
  const isOneVocabulary = new Set(rows.map(({ vocabSize }) => vocabSize)).size <= 1;
  const tasks = [...new Set(rows.flatMap(({ quality }) => quality.map(({ task }) => task)))];
  return tasks.map((task): Quality => {
    // What was stopped in its midst is of other items.
    const resultOf = ({ quality }: Row): TaskResult | undefined =>
      quality.find((result) => result.task === task && result.isComplete);
    if (rows.some((row) => resultOf(row)?.perplexity)) {
      const title = isOneVocabulary ? 'perplexity (less is better)' : 'bits per byte (less is better)';
      return { title, of: (row) => textQuality(resultOf(row), isOneVocabulary) };
    }
    return { title: `${task} (more is better)`, of: (row) => taskQuality(resultOf(row)) };
  });
}

function textQuality(result: TaskResult | undefined, asPerplexity: boolean) {
  const found = result?.perplexity;
  if (!found) return null;
  if (!asPerplexity) return { value: found.bitsPerByte, error: null };
  return { value: found.perplexity, error: found.natsStderr === null ? null : found.natsStderr * found.perplexity };
}

function taskQuality(result: TaskResult | undefined) {
  const [mean] = Object.values(result?.metrics ?? {});
  return mean === undefined ? null : { value: mean.value, error: mean.stderr };
}

function panel(
  rows: readonly Row[],
  quality: Quality,
  xTitle: string,
  xOf: (row: Row) => number | undefined,
): ScatterPanel {
  const models = [...new Set(rows.map(({ model }) => model))];
  const series = models.map((model) =>
    rows
      .filter((row) => row.model === model)
      .flatMap((row): ScatterPoint[] => {
        const [x, y] = [xOf(row), quality.of(row)];
        return x === undefined || y === null ? [] : [{ x, y: y.value, error: y.error, name: nameOf(row.given) }];
      })
      .sort((a, b) => a.x - b.x),
  );
  return { title: `Against ${xTitle}`, xTitle, yTitle: quality.title, series };
}

/** The end of a path says which it is. */
function nameOf(given: string): string {
  return given.split(/[/\\]/).filter(Boolean).at(-1) ?? given;
}
