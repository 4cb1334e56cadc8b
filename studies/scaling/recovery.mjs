/**
 * How well the fit finds a law that is known: draws of the study's grid with the noise of seeds, fitted as `qsparse law fit` does.
 *
 *   node studies/scaling/recovery.mjs [--draws 1000] [--noise 0.003,0.01] [--out FILE]
 *
 * For each noise it counts the spread of each constant and of S*, and how often the intervals hold the truth: by profile likelihood in every fourth
 * draw, by bootstrap (which is 200 fits a draw) in every twentieth. Writes results/recovery.json; other noises in it stay.
 */

import path from 'node:path';
import { parseArgs } from 'node:util';
import { readJson, writeJson } from '../../bench/lib/processes.mjs';
import { bootstrapLaw } from '../../dist/scaling/bootstrap-law.js';
import { fitLaw } from '../../dist/scaling/fit-law.js';
import { lawForm, lawLoss } from '../../dist/scaling/law-form.js';
import { optimalSparsity } from '../../dist/scaling/optimal-sparsity.js';
import { profileOptimum } from '../../dist/scaling/profile-optimum.js';
import { Prng } from '../../dist/util/prng.js';

const { values: given } = parseArgs({
  options: {
    draws: { type: 'string', default: '1000' },
    noise: { type: 'string', default: '0.003,0.01' },
    out: { type: 'string', default: path.join(import.meta.dirname, 'results/recovery.json') },
  },
});
const draws = Number(given.draws);
const before = readJson(given.out);
if (before && before.draws !== draws)
  throw new Error(`${given.out} is of ${before.draws} draws: give --draws ${before.draws}, or another --out.`);

const SIZES = [0.2, 0.44, 1, 1.9, 4];
const SPARSITIES = [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8];
const TRUTH = { E: 2.4, B: 0.3, C: 1.1, alpha: 0.3, beta: 0.12 };
const CONFIDENCE = 0.95;
const PROFILED = 4;
const BOOTSTRAPPED = 20;
const BOOTSTRAP_DRAWS = 200;

const form = lawForm('exponential');
const truth = { ...TRUTH, 'S*': optimalSparsity(form, TRUTH) };

const measured = given.noise
  .split(',')
  .map(Number)
  .map((noise) => {
    const prng = new Prng(Math.round(1e6 * noise));
    const fits = [];
    const covered = { profile: 0, profiles: 0, bootstrap: 0, bootstraps: 0 };
    for (let draw = 0; draw < draws; draw++) {
      const points = SIZES.flatMap((size) =>
        SPARSITIES.map((sparsity) => ({
          ...{ size, sparsity },
          loss: lawLoss(form, TRUTH, { size, sparsity }) * Math.exp(noise * prng.normal()),
        })),
      );
      const fit = fitLaw(form, points);
      fits.push({ ...fit.constants, 'S*': optimalSparsity(form, fit.constants) });
      if (draw % PROFILED > 0) continue;
      const { low, high } = profileOptimum(fit, { confidence: CONFIDENCE });
      covered.profiles++;
      if ((low ?? 0) <= truth['S*'] && (high ?? 1) >= truth['S*']) covered.profile++;
      if (draw % BOOTSTRAPPED > 0) continue;
      const { optimum } = bootstrapLaw(fit, { draws: BOOTSTRAP_DRAWS, seed: draw, confidence: CONFIDENCE });
      covered.bootstraps++;
      if (optimum.low <= truth['S*'] && optimum.high >= truth['S*']) covered.bootstrap++;
    }
    console.log(`noise ${noise}:`, covered);
    return {
      noise,
      recovered: Object.fromEntries(Object.keys(truth).map((name) => [name, spreadOf(fits.map((fit) => fit[name]))])),
      coverage: { profile: covered.profile / covered.profiles, bootstrap: covered.bootstrap / covered.bootstraps },
    };
  });

const kept = (before?.results ?? []).filter(({ noise }) => !measured.some((one) => one.noise === noise));
const results = [...kept, ...measured].sort((a, b) => a.noise - b.noise);
writeJson(given.out, {
  ...{ draws, bootstrapDraws: BOOTSTRAP_DRAWS, confidence: CONFIDENCE, sizes: SIZES, sparsities: SPARSITIES },
  ...{ truth, results },
});

function spreadOf(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const round = (value) => Number(value.toPrecision(4));
  return { median: round(at(0.5)), low: round(at(0.025)), high: round(at(0.975)) };
}
