/** The insides of a model by layer: a table of layers times quantities for each detail record, coloured by the page. */

import { POINTS } from '../model/config.ts';
import type { DetailRecord } from '../train/metrics.ts';
import { type ChartRun, type Numbers, thinDetails } from './charts.ts';
import { rounded } from './curves.ts';

export interface HeatGroup {
  title: string;
  columns: string[];
  /** Shares are coloured by their size, `kept` by what is lost; sizes by their logarithm within the run. */
  scale: 'share' | 'kept' | 'size';
}

export interface HeatMap {
  run: string;
  groups: HeatGroup[];
  layers: number;
  steps: number[];
  /** By detail record, then layer by layer, all columns of all groups; null where a record lacks a value. */
  values: Numbers[];
}

/** One heat map for each run that has detail records. */
export function buildHeatMaps(runs: readonly ChartRun[]): HeatMap[] {
  return runs.flatMap(({ name, records }) => {
    const details = thinDetails(records.details);
    const last = details.at(-1);
    if (last === undefined) return [];
    const layers = last.sparsity?.qkv?.length ?? 0;
    const groups = groupsOf(last);
    const values = details.map((detail) => {
      const columns = columnsOf(detail, groups[2].columns);
      const byLayer = Array.from({ length: layers }, (_, layer) => columns.map((column) => column[layer]));
      return rounded(byLayer.flat());
    });
    return [{ run: name, groups, layers, steps: details.map(({ step }) => step), values }];
  });
}

function groupsOf(detail: DetailRecord): HeatGroup[] {
  return [
    { title: 'zeros, %', columns: [...POINTS], scale: 'share' },
    { title: 'energy kept, %', columns: [...POINTS], scale: 'kept' },
    { title: 'gradient norm', columns: Object.keys(detail.gradNorm ?? {}), scale: 'size' },
    { title: 'dead, %', columns: ['hidden'], scale: 'share' },
    ...(detail.expertLoad?.length
      ? [
          {
            title: 'choices of each expert, %',
            columns: detail.expertLoad[0].map((_, e) => `${e}`),
            scale: 'share',
          } as const,
        ]
      : []),
  ];
}

/** In the order of the groups. */
function columnsOf(detail: DetailRecord, projections: readonly string[]): (readonly number[])[] {
  return [
    ...POINTS.map((point) => detail.sparsity?.[point] ?? []),
    ...POINTS.map((point) => detail.energyKept?.[point] ?? []),
    ...projections.map((name) => detail.gradNorm?.[name] ?? []),
    detail.deadChannels ?? [],
    ...(detail.expertLoad?.[0] ?? []).map((_, expert) => detail.expertLoad!.map((load) => load[expert])),
  ];
}
