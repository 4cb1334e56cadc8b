/** `qsparse law page`: the law as one HTML page with sliders for size, sparsity and format. */

import type { Command } from 'commander';
import { writeFileAtomically } from '../../formats/atomic-write.ts';
import { buildLawPage } from '../../report/build-law-page.ts';
import type { PageLaw } from '../../report/page-data.ts';
import { UsageError } from '../../util/errors.ts';
import { formatBytes } from '../../util/format.ts';
import { addJsonOption } from '../shared/common-options.ts';
import { Output } from '../shared/output.ts';
import { refuseOtherPage } from '../shared/refuse-other-page.ts';
import { type KnownLaw, printedLaws, readLaws } from './law-constants.ts';

interface PageOptions {
  json: boolean;
  out: string;
  constants?: string;
}

const HELP = `
The page needs no network; open it in any browser. Without --constants it shows the law that the paper prints, beside them both.

Example:
  $ qsparse law page --constants constants.json --out law.html`;

/** Sizes that the printed constants are shown at: those of the paper, and ten times beyond. */
const PRINTED_SIZES = [1e8, 7e10] as const;

export function registerPage(law: Command): void {
  const command = law
    .command('page')
    .description('the law as an interactive HTML page')
    .requiredOption('--out <file>', 'where to write the page')
    .option('--constants <file>', 'what law fit --json wrote')
    .addHelpText('after', HELP);
  addJsonOption(command).action(page);
}

function page(options: PageOptions): void {
  const output = new Output(options);
  const laws = [...(options.constants === undefined ? [] : readLaws(options.constants)), ...printedLaws()];
  refuseOtherPage(options.out);
  const html = buildLawPage(laws.map((law) => pageLaw(law, options.constants)));
  writeFileAtomically(options.out, html);
  output.line(`${options.out} (${formatBytes(Buffer.byteLength(html))}): open it in a browser.`);
  output.json({ file: options.out, laws: laws.map(({ format, source }) => ({ format, source })) });
}

function pageLaw(law: KnownLaw, file: string | undefined): PageLaw {
  const { form, constants, sizeUnit, measured } = law;
  if (!form.name.startsWith('exponential')) {
    const message = `laws.${law.format}.form: the page draws the law of the paper: expected exponential, got ${form.name}.`;
    throw new UsageError('page', `${file}: ${message} Fit with law fit.`);
  }
  const tokens = measured?.tokens?.[1];
  // At the tokens of the runs their term is part of the floor.
  const floor = constants.E + (constants.F === undefined ? 0 : constants.F / (tokens ?? Number.NaN) ** constants.gamma);
  const sizes = measured ? measured.sizes.map((size) => size * sizeUnit) : PRINTED_SIZES;
  return {
    name: measured || law.source === file ? `${law.format}, own runs` : 'as printed, full precision',
    constants: { E: floor, B: constants.B ?? 0, C: constants.C, alpha: constants.alpha, beta: constants.beta },
    sizeUnit,
    sizes: [sizes[0], sizes[1]],
    lossUnit: law.lossUnit,
  };
}
