/** The line charts of the built package, for the studies and their documents. */

export * from '../../dist/report/svg-chart.js';
