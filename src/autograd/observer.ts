/**
 * Who wants to know where a pass is and what it holds: profiles and traces (cli/training/profile/).
 *
 * A training step is sections inside sections: step > phase (data, forward, loss, backward, optimizer) > layer > point > op >
 * product (Y, dW, dX). Trainer and model name the outer ones, the tape the ops, and names them again when it runs them
 * backward, so that a gradient is found under the layer and the point of its op. Kernels know nothing of all this, and
 * without an observer none of it happens.
 */

export type SectionKind = 'step' | 'phase' | 'layer' | 'point' | 'op' | 'product';

export interface Section {
  readonly kind: SectionKind;
  readonly name: string;
}

/** Buffers of a tape that are held for one reason. */
export interface Holding {
  /** kept: a recorded op reads them in its backward; gradient: of an activation; scratch: of the op or layer that runs. */
  readonly role: 'kept' | 'gradient' | 'scratch';
  /** Where they belong, outermost section first. */
  readonly sections: readonly Section[];
  readonly bytes: number;
}

export interface Observer {
  enter(section: Section): void;
  /** Leaves the innermost section. */
  exit(): void;
  /** A tape took a buffer: the bytes that are live in its pool, and on demand what the tape holds (a walk over all of it). */
  took(liveBytes: number, holdings: () => Holding[]): void;
}

/** Runs `body` as a section; without an observer only `body`. */
export function within<T>(observer: Observer | undefined, kind: SectionKind, name: string, body: () => T): T {
  if (observer === undefined) return body();
  observer.enter({ kind, name });
  try {
    return body();
  } finally {
    observer.exit();
  }
}
