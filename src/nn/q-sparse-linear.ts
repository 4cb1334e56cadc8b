/**
 * The Q-Sparse projection: select the input, re-scale it and round it to 8 bits if asked, multiply: y = Q(x . M) W.
 *
 * One call is one point of a layer: the projections that read the same input are one fused matrix and share the selection.
 * Without a selection this is a plain dense product and nothing else: there is no second code path for dense models.
 * Source: Q-Sparse (arXiv 2407.10969), section 2.1.
 */

import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import { fakeQuantize } from '../ops/fake-quantize.ts';
import type { HiddenForm } from '../ops/gated-hidden.ts';
import { linear } from '../ops/linear.ts';
import { nonZeros } from '../ops/non-zeros.ts';
import { rescale } from '../ops/rescale.ts';
import { type SelectionGradient, type SelectionRule, sparsify } from '../ops/sparsify.ts';

export interface Selection {
  /** The point of the layer, for observers of the tape. */
  point: string;
  /** Which features of each token stay. */
  rule: SelectionRule;
  /** x comes from behind a ReLU gate: where all stay its own zeros are worth skipping. */
  naturalZeros: boolean;
  gradient: SelectionGradient;
  rescale: 'none' | 'l2';
  activationFormat: 'float' | 'int8';
  /** Sees the input before and after the selection (not yet re-scaled and rounded). */
  observe?: (x: Value, selected: Value) => void;
}

/** y [N, out] = select(x [N, in]) W [in, out]. */
export function qSparseLinear(tape: Tape, x: Value, weight: Weight, selection: Selection): Value {
  tape.enter('point', selection.point);
  const y = tape.apply(linear, { x: qSparseInput(tape, x, selection), weight });
  tape.exit();
  return y;
}

/** What the projections at one point multiply: x selected and, if asked, re-scaled and rounded. */
export function qSparseInput(tape: Tape, x: Value, selection: Selection): Value {
  const selected = select(tape, x, selection);
  selection.observe?.(x, selected);
  const scaled = rescaled(tape, selected, selection);
  return selection.activationFormat === 'int8' ? tape.apply(fakeQuantize, { x: scaled }) : scaled;
}

/** The form in which a point wants hidden activations: a list is not selected again. */
export function wantedForm({ rule, rescale }: Selection): HiddenForm {
  if (rule.keeps === 'positive') return 'positive';
  return rule.keeps === 'all' && rescale === 'none' ? 'any' : 'dense';
}

function select(tape: Tape, x: Value, selection: Selection): Value {
  const { rule, gradient, naturalZeros } = selection;
  if (x.rows !== null && wantedForm(selection) !== 'dense') return x;
  if (rule.keeps !== 'all') return tape.apply(sparsify, { x, rule, gradient });
  return naturalZeros && tape.skips.forward ? tape.apply(nonZeros, { x }) : x;
}

function rescaled(tape: Tape, selected: Value, selection: Selection): Value {
  if (selection.rescale === 'none') return selected;
  // The re-scale works on lists; one of everything where nothing was dropped.
  const rule = { keeps: 'largest', kept: selected.shape[1] } as const;
  const listed = selected.rows ? selected : tape.apply(sparsify, { x: selected, rule, gradient: selection.gradient });
  return tape.apply(rescale, { x: listed });
}
