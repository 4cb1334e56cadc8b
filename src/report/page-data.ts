/** What the scripts of the pages in one file read: it stands in the page as JSON. */

import type { Axis, AxisName, Chart } from './charts.ts';
import type { HeatMap } from './heat-map.ts';

/** Of the report: what it draws. */
export interface ReportData {
  readonly axes: readonly Record<AxisName, Axis>[];
  readonly charts: readonly Chart[];
  readonly heatMaps: readonly HeatMap[];
}

/** L(N, S) = E + (B + C exp(beta / (1 - S))) / (N / sizeUnit)^alpha. */
export interface PageLaw {
  /** For the choice of laws. */
  readonly name: string;
  readonly constants: Readonly<Record<'E' | 'B' | 'C' | 'alpha' | 'beta', number>>;
  readonly sizeUnit: number;
  /** Parameters of the smallest and the largest model that it was fitted to. */
  readonly sizes: readonly [number, number];
  /** Of the loss, in words; may be empty. */
  readonly lossUnit: string;
}
