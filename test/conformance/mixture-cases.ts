/** Cases of routing, of rows by token, and of the sum of what experts give back: the choice must be equal, ties and NaN included. */

import type { Case, TensorSpec } from './case.ts';
import { emptyRowsSpec, f32, i32, rowsSpec, SPECIAL_ROWS, specialRow, Values } from './values.ts';

export function mixtureCases(): Case[] {
  return [...routeCases(), ...backwardCases(), ...gatherCases(), ...addCases()];
}

/** Rows, experts, experts a token. */
const ROUTINGS = [
  [1, 1, 1],
  [5, 2, 1],
  [7, 3, 3],
  [33, 4, 2],
  [33, 8, 2],
  [6, 17, 5],
  [3, 64, 8],
  [700, 16, 4],
] as const;

function routeCase(name: string, N: number, E: number, kept: number, logits: () => Float32Array): Case {
  return {
    kernel: 'routeTokens',
    name: `${name} [${N}, ${E}], ${kept} chosen`,
    tensors: () => ({ logits: f32([N, E], logits()), ...emptyRowsSpec('chosen', N, N * kept), lse: f32([N], null) }),
    call: (kernels, t) => kernels.routeTokens(t.float('logits'), kept, t.rows('chosen', N, E), t.float('lse')),
    outputs: {
      ...{ logits: { magnitude: 1 }, 'chosen.start': 'equal', 'chosen.index': 'equal' },
      ...{ 'chosen.value': { magnitude: 1 }, lse: { magnitude: 1 } },
    },
  };
}

function routeCases(): Case[] {
  const normal = ROUTINGS.map(([N, E, kept]) =>
    routeCase('normal', N, E, kept, () => new Values(`route ${N} ${E}`).normals(N * E, 2)),
  );
  const special = SPECIAL_ROWS.filter((kind) => kind !== 'wide exponents').flatMap((kind) =>
    [1, 2, 5].map((kept) => routeCase(kind, 4, 5, kept, () => specialRow(kind, new Values(`${kind} ${kept}`), 20))),
  );
  const certain = () => Float32Array.of(0, 300, -300, 299, -1e30, 1e30, 0, 5, 1e-30, -1e-30, 0, -0);
  return [...normal, ...special, routeCase('certain', 3, 4, 2, certain)];
}

/** What a forward pass gives, computed here, so that both backends read the same. */
function routed(name: string, N: number, E: number, kept: number): Record<string, TensorSpec> {
  const logits = new Values(name).normals(N * E, 2);
  const probabilities = new Float32Array(N * E);
  const shares = new Float32Array(N * E);
  const logSumExp = new Float32Array(N);
  for (let r = 0; r < N; r++) {
    const row = [...logits.subarray(r * E, (r + 1) * E)];
    const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
    const cut = row.toSorted((a, b) => b - a)[kept - 1];
    const chosen = row.reduce((total, logit) => total + (logit >= cut ? Math.exp(logit) : 0), 0);
    logSumExp[r] = Math.log(sum);
    row.forEach((logit, e) => {
      probabilities[r * E + e] = Math.exp(logit) / sum;
      shares[r * E + e] = logit >= cut ? Math.exp(logit) / chosen : 0;
    });
  }
  return {
    probabilities: f32([N, E], probabilities),
    ...rowsSpec('chosen', shares, N, E),
    lse: f32([N], logSumExp),
    dShare: f32([N * kept], new Values(`dShare ${name}`).normals(N * kept)),
    balance: f32([E], new Values(`balance ${name}`).normals(E)),
    dLogits: f32([N, E], null),
  };
}

function backwardCases(): Case[] {
  return ROUTINGS.flatMap(([N, E, kept]) =>
    [0, 0.3].map((zScale): Case => {
      const name = `[${N}, ${E}], ${kept} chosen, z ${zScale}`;
      return {
        kernel: 'routeTokensBackward',
        name,
        tensors: () => routed(name, N, E, kept),
        call: (kernels, t) =>
          kernels.routeTokensBackward(
            t.float('probabilities'),
            t.rows('chosen', N, E),
            t.float('lse'),
            t.float('dShare'),
            t.float('balance'),
            zScale,
            t.float('dLogits'),
          ),
        outputs: { dLogits: { magnitude: 1 } },
      };
    }),
  );
}

/** Rows that exist, rows wanted, columns, share of zeros. */
const GATHERS = [
  [1, 1, 1, 0],
  [4, 9, 33, 0.5],
  [9, 4, 67, 0.9],
  [5, 5, 20, 1],
  [300, 257, 129, 0.6],
] as const;

function gatherCases(): Case[] {
  return GATHERS.map(([N, M, D, zeros]): Case => {
    const name = `${M} rows of [${N}, ${D}], ${zeros} zeros`;
    const { dense, ids } = rowsByToken(name, N, M, D, zeros);
    const capacity = ids.reduce(
      (sum, id) => sum + dense.subarray(id * D, (id + 1) * D).filter((x) => x !== 0).length,
      0,
    );
    return {
      kernel: 'gatherRows',
      name,
      tensors: () => ({ ...rowsSpec('a', dense, N, D), ids: i32([M], ids), ...emptyRowsSpec('out', M, capacity) }),
      call: (kernels, t) => kernels.gatherRows(t.rows('a', N, D), t.int('ids'), t.rows('out', M, D)),
      outputs: { 'out.start': 'equal', 'out.index': 'equal', 'out.value': 'equal' },
    };
  });
}

function addCases(): Case[] {
  return GATHERS.map(([N, M, D]): Case => {
    const name = `${M} rows into [${N}, ${D}]`;
    const { dense, ids } = rowsByToken(name, N, M, D, 0);
    return {
      kernel: 'addRowsAt',
      name,
      tensors: () => ({
        x: f32([M, D], new Values(`x ${name}`).normals(M * D)),
        scale: f32([M], new Values(`scale ${name}`).normals(M)),
        ids: i32([M], ids),
        out: f32([N, D], dense),
      }),
      call: (kernels, t) => kernels.addRowsAt(t.float('x'), t.float('scale'), t.int('ids'), t.float('out')),
      outputs: { out: { magnitude: 1 } },
    };
  });
}

/** A matrix, and rows of it in any order, some of them more than once. */
function rowsByToken(name: string, N: number, M: number, D: number, zeros: number) {
  const values = new Values(name);
  const dense = values.sparse(N * D, zeros);
  return { dense, ids: Array.from({ length: M }, () => values.below(N)) };
}
