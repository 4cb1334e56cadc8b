import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../model/resolve-config.ts';
import { activationTable, layerTable } from './activation-table.ts';

const config = resolveConfig({ dim: 8, hiddenDim: 24, nLayers: 2, nHeads: 2, nKvHeads: 1, vocabSize: 10 });
const projections = { qkv: [0.5, 0.25], o: [0, 0], gate: [0.5, 0.5], up: [0.75, 0.75], down: [0.75, 0.25] };
const points = { qkv: [0.5, 0.25], o: [0, 0], gateUp: [0.5, 0.5], down: [0.75, 0.25] };

describe('activationTable', () => {
  it('counts by hand', () => {
    const rows = activationTable(config, projections);
    const of = (name: string) => rows.find(({ projection }) => projection === name);
    // qkv [8, 4 * 4], o [8, 8], gate and up [8, 24] each, down [24, 8]; two layers.
    expect(of('QKV')).toEqual({ projection: 'QKV', parameters: 256, sparsity: 0.375, activated: 160 });
    expect(of('Out')).toEqual({ projection: 'Out', parameters: 128, sparsity: 0, activated: 128 });
    expect(of('Up')).toEqual({ projection: 'Up', parameters: 384, sparsity: 0.75, activated: 96 });
    expect(of('Gate')).toEqual({ projection: 'Gate', parameters: 384, sparsity: 0.5, activated: 192 });
    expect(of('Down')).toEqual({ projection: 'Down', parameters: 384, sparsity: 0.5, activated: 192 });
    const activated = 160 + 128 + 96 + 2 * 192;
    expect(of('Overall')).toEqual({
      projection: 'Overall',
      parameters: 1536,
      sparsity: 1 - activated / 1536,
      activated,
    });
  });
});

describe('activationTable of a mixture', () => {
  it('counts the experts that a token is sent to', () => {
    const mixture = { ...config, nExperts: 8, nExpertsPerToken: 2 };
    const rows = activationTable(mixture, projections);
    const of = (name: string) => rows.find(({ projection }) => projection === name);
    expect(of('Out')).toMatchObject({ parameters: 128 });
    expect(of('Up')).toMatchObject({ parameters: 768, activated: 192 });
    expect(of('Down')).toMatchObject({ parameters: 768, activated: 384 });
  });
});

describe('layerTable', () => {
  it('has a row for each layer', () => {
    expect(layerTable(config, points)).toEqual([
      { layer: 0, qkv: 0.5, o: 0, gateUp: 0.5, down: 0.75 },
      { layer: 1, qkv: 0.25, o: 0, gateUp: 0.5, down: 0.25 },
    ]);
  });
});
