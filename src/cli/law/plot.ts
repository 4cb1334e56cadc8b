/** `qsparse law plot`: figures 3 and 4 of the paper, of one's own runs, as SVG files. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { writeFileAtomically } from '../../formats/atomic-write.ts';
import { fitLaw } from '../../scaling/fit-law.ts';
import { lawForm } from '../../scaling/law-form.ts';
import { readLawRuns, type SparsityColumn } from '../../scaling/law-runs.ts';
import { UsageError } from '../../util/errors.ts';
import { addJsonOption, parseChoice } from '../shared/common-options.ts';
import { Output } from '../shared/output.ts';
import { lawFigures } from './figures.ts';
import { readText } from './read-text.ts';
import { checkSameTokens } from './same-tokens.ts';

interface PlotOptions {
  json: boolean;
  out: string;
  sparsityColumn: SparsityColumn;
}

const HELP = `
For each format of the runs: law-FORMAT-fit.svg (loss by size and by sparsity, runs as dots) and law-FORMAT-activated.svg (loss by
activated parameters, lines of equal loss, the optimum).

Example:
  $ qsparse law plot runs.csv --out figures`;

export function registerPlot(law: Command): void {
  const command = law
    .command('plot')
    .description('the law and its runs as SVG figures')
    .argument('<runs>', 'CSV with columns parameters, sparsity, loss')
    .requiredOption('--out <folder>', 'where to write the figures')
    .option(
      '--sparsity-column <name>',
      'where S stands: sparsity (asked for) or zeros (measured)',
      parseChoice('--sparsity-column', ['sparsity', 'zeros'] as const),
      'sparsity' as const,
    )
    .addHelpText('after', HELP);
  addJsonOption(command).action(plot);
}

function plot(path: string, options: PlotOptions): void {
  const output = new Output(options);
  const runs = readLawRuns(readText(path), path, options.sparsityColumn);
  const figures = [...new Set(runs.map(({ format }) => format))].flatMap((format) => {
    const own = runs.filter((run) => run.format === format);
    checkSameTokens(format, own, 'Plot those of one');
    const { form, constants } = fitLaw(lawForm('exponential'), own);
    return Object.entries(lawFigures({ name: format, form, constants, unit: 'M' }, own));
  });
  const files = figures.map(([name, svg]) => ({ file: join(options.out, name), svg }));
  for (const { file } of files) refuseOtherFile(file);
  for (const { file, svg } of files) {
    writeFileAtomically(file, svg);
    output.line(file);
  }
  output.json({ files: files.map(({ file }) => file) });
}

/** An older figure may be replaced, nothing else. */
function refuseOtherFile(file: string): void {
  if (!existsSync(file) || /^\s*<svg/.test(readFileSync(file, 'utf8').slice(0, 100))) return;
  throw new UsageError('--out', `${file} is there and is no SVG; nothing was written. Choose another --out.`);
}
