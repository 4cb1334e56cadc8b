import { describe, expect, it } from 'vitest';
import { comparedModel } from './compared-model.ts';

describe('comparedModel', () => {
  it('takes a number behind the last @ for a share', () => {
    expect(comparedModel('runs/book')).toEqual({ given: 'runs/book', model: 'runs/book', sparsity: null });
    expect(comparedModel('runs/book@0.5')).toMatchObject({ model: 'runs/book', sparsity: 0.5 });
    expect(comparedModel('runs/a@b@60%')).toMatchObject({ model: 'runs/a@b', sparsity: 0.6 });
    expect(comparedModel('model@0')).toMatchObject({ model: 'model', sparsity: 0 });
  });

  it('leaves revisions of the Hub to the model', () => {
    expect(comparedModel('owner/name@main')).toMatchObject({ model: 'owner/name@main', sparsity: null });
    expect(comparedModel('owner/name@v0.5')).toMatchObject({ model: 'owner/name@v0.5', sparsity: null });
    expect(comparedModel('owner/name@main@0.4')).toMatchObject({ model: 'owner/name@main', sparsity: 0.4 });
  });

  it('refuses what is no share', () => {
    expect(() => comparedModel('runs/book@1')).toThrow(/a share of at least 0 and below 1/);
    expect(() => comparedModel('runs/book@100%')).toThrow(/below 1/);
  });
});
