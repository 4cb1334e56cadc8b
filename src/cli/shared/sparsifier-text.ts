/** One line for people about what a model does to the inputs of its projections. */

import { type ModelConfig, POINTS, type Point, rescales, type Sparsity } from '../../model/config.ts';

/** Such as `qkv 0.6, o 0.6, gate/up 0.6, down natural zeros`. */
export function sparsifierText(config: ModelConfig): string {
  const { sparsifier, sparsity, thresholds, blockSize, activation } = config;
  const natural = activation === 'silu' ? '0' : 'natural zeros';
  const points = (values: Record<Point, Sparsity>) => {
    const [qkv, o, gateUp, down] = [values.qkv, values.o, values.gateUp, values.down].map(valueText);
    return `qkv ${qkv}, o ${o}, gate/up ${gateUp}, down ${down === '0' ? natural : down}`;
  };
  const texts = {
    topk: points(sparsity),
    block: `in blocks of ${blockSize}: ${points(sparsity)}`,
    relu: 'ReLU before every projection',
    'norm-relu': `ReLU behind the norms, before qkv and gate/up; down ${natural}`,
    drelu: 'dReLU: relu(gate) relu(up) before down',
    threshold: `thresholds: ${points(thresholds)}${thresholds.gate === 0 ? '' : `, gate ${valueText(thresholds.gate)}`}`,
    none: `nothing selected, down ${natural}`,
  };
  return `${texts[sparsifier]}${rescaleText(config)}`;
}

function rescaleText(config: ModelConfig): string {
  const points = POINTS.filter((point) => rescales(config, point));
  if (points.length === 0) return '';
  return points.length === POINTS.length ? '; re-scaled' : `; re-scaled at ${points.join(', ')}`;
}

function valueText(value: Sparsity): string {
  return typeof value === 'number' ? String(value) : 'by layer';
}
