/**
 * Training of the shape d512-l8, in turns: this project dense and at 60 % zeros, PyTorch (float32, torch.compile).
 *
 *   npx qsparse train d512-l8 --text FOLDER --out runs/d512 --steps 100 --accumulate 1
 *   node bench/train-against-pytorch.mjs runs/d512 TEXT [ROUNDS]
 *
 * The checkpoint gives the gates of a model in training (fresh weights close only half of them); TEXT is what it reads. Needs
 * python3 with torch. Writes bench/results/train-against-pytorch.json.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const [model, text, roundsText = '3'] = process.argv.slice(2);
if (!text) throw new Error('usage: node bench/train-against-pytorch.mjs MODEL TEXT [ROUNDS]');

const run = (command, args) =>
  JSON.parse(execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const rounds = [];
let machine;
let commit;
for (let round = 0; round < Number(roundsText); round++) {
  const main = path.join(root, 'dist/cli/main.js');
  const args = ['bench', 'train', model, '--text', text, '--sparsity', '0.6', '--repeat', '4', '--json'];
  const ours = run(process.execPath, [main, ...args]);
  const torch = run('python3', [path.join(root, 'bench/peers/torch_train.py')]);
  ({ machine, commit } = ours);
  const [dense, sparse] = ours.rows;
  rounds.push({
    dense: dense.tokensPerSecond,
    sparse: sparse.tokensPerSecond,
    speedupOverDense: sparse.speedupOverDense,
    selectShare: sparse.selectShare,
    zeros: sparse.zeros,
    peakBytes: sparse.peakBytes,
    torch: torch.tokensPerSecond,
    torchVersion: torch.torch,
  });
  console.log(rounds.at(-1));
}
const of = (key) => median(rounds.map((round) => round[key]));
const summary = {
  shape: 'd512-l8, batch 8 x 256, f32, 2 threads; tokens per second, optimiser included',
  dense: of('dense'),
  sparse: of('sparse'),
  torch: of('torch'),
  speedupOverDense: of('speedupOverDense'),
  speedupOverTorch: median(rounds.map(({ sparse, torch }) => sparse / torch)),
  selectShare: of('selectShare'),
};
const file = path.join(root, 'bench/results/train-against-pytorch.json');
writeFileSync(
  file,
  `${JSON.stringify({ bench: 'train-against-pytorch', machine, commit, summary, rounds }, null, 2)}\n`,
);
console.log(summary);
