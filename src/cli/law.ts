/** `qsparse law fit|plan|plot|page|sweep`: the scaling law of sparse models, from runs to a decision. The law itself: src/scaling/. */

import type { Command } from 'commander';
import { registerFit } from './law/fit.ts';
import { registerPage } from './law/page.ts';
import { registerPlan } from './law/plan.ts';
import { registerPlot } from './law/plot.ts';
import { registerSweep } from './law/sweep.ts';

const HELP = `
Examples:
  $ qsparse law plan --activated 1e9                what the printed constants say
  $ qsparse law sweep plan.mjs --text books --out sweep
  $ qsparse law fit sweep/runs.csv --json > constants.json
  $ qsparse law page --constants constants.json --out law.html`;

export function register(program: Command): void {
  const law = program
    .command('law')
    .description('the scaling law: train a grid of runs, fit, plan, plot')
    .addHelpText('after', HELP);
  registerPlan(law);
  registerFit(law);
  registerPlot(law);
  registerPage(law);
  registerSweep(law);
}
