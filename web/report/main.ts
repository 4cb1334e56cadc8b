/** The script of the page that `qsparse report` writes: what it draws stands in it. */

import 'uplot/dist/uPlot.min.css';
import '../shared/theme.css';
import '../shared/charts.css';
import './report.css';
import type { ReportData } from '../../src/report/page-data.ts';
import { ChartsView, type XName } from '../shared/charts-view.ts';
import { byId } from '../shared/dom.ts';
import { HeatTable } from './heat-table.ts';

const { charts, axes, heatMaps } = JSON.parse(byId('report-data').textContent!) as ReportData;

function setUpCharts(): void {
  const view = new ChartsView(byId('charts'), 'h3');
  const controls = byId<HTMLFormElement>('controls');
  const show = () => {
    const form = new FormData(controls);
    view.show({ charts, axes }, form.get('x') as XName, form.has('skip-start'));
  };
  controls.addEventListener('input', show);
  controls.addEventListener('submit', (event) => event.preventDefault());
  show();
}

if (charts.length > 0) setUpCharts();
for (const [i, map] of heatMaps.entries()) {
  const slider = byId<HTMLInputElement>(`heat-step-${i}`);
  new HeatTable(map, { table: byId(`heat-${i}`), slider, at: byId(`heat-at-${i}`) });
}
