/**
 * MultipliedLayer: the parameters of a block as its products see them: as they are, or what a training makes of them in their place before each step (ternary-weights.ts,
 * adapted-weights.ts).
 */

import type { Weight } from '../autograd/parameter.ts';
import type { Point } from './config.ts';
import type { LayerParameters, Parameter } from './parameters.ts';

/** Of an FFN, or of one expert. */
export interface MultipliedFfn {
  readonly gateUp: Weight;
  readonly subNorm: Weight | null;
  readonly down: Weight;
}

export interface MultipliedLayer extends Omit<LayerParameters, 'qkv' | 'o' | 'ffns'> {
  readonly qkv: Weight;
  readonly o: Weight;
  readonly ffns: readonly MultipliedFfn[];
}

/** The layers with `weightOf` of each projection in its place; the order is that of the forward pass. */
export function mapProjections(
  layers: readonly LayerParameters[],
  weightOf: (point: Point, parameter: Parameter) => Weight,
): MultipliedLayer[] {
  return layers.map((layer) => ({
    ...layer,
    qkv: weightOf('qkv', layer.qkv),
    o: weightOf('o', layer.o),
    ffns: layer.ffns.map((ffn) => ({
      ...ffn,
      gateUp: weightOf('gateUp', ffn.gateUp),
      down: weightOf('down', ffn.down),
    })),
  }));
}
