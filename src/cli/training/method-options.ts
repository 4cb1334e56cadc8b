/** The options that say what a model sets to zero and how its gate is shaped: those of every command that trains. */

import type { Command } from 'commander';
import type { Activation } from '../../backend.ts';
import {
  keptCount,
  type ModelConfig,
  type Point,
  RESCALES,
  type Rescale,
  SPARSIFIERS,
  type Sparsifier,
  type Sparsity,
} from '../../model/config.ts';
import type { ModelConfigInput } from '../../model/resolve-config.ts';
import { UsageError } from '../../util/errors.ts';
import { parseShare } from '../shared/common-options.ts';
import { choice, given, real, whole } from './option-kinds.ts';

export interface MethodOptions {
  sparsifier?: Sparsifier;
  sparsity?: SparsityOption;
  blockSize?: number;
  activation?: Activation;
  gradient?: ModelConfig['gradient'];
  rescale?: Rescale;
  hiddenL1?: number;
  activationFormat?: ModelConfig['activationFormat'];
}

const ACTIVATIONS: readonly Activation[] = ['relu2', 'relu', 'silu'];
const SPARSIFIER_HELP = 'what is set to zero before a projection';
const GRADIENTS: readonly ModelConfig['gradient'][] = ['straight-through', 'masked'];
const ACTIVATION_FORMATS: readonly ModelConfig['activationFormat'][] = ['float', 'int8'];

/** Declares every option of MethodOptions. */
export function addMethodOptions(command: Command): void {
  command
    .addOption(choice('--sparsifier <name>', SPARSIFIER_HELP, SPARSIFIERS))
    .option(
      '--sparsity <share>',
      'share set to zero: 0.6, or qkv=0.6,o=0.6,gateUp=0.6,down=0; 0 is dense; 16:32 keeps 16 of each 32 (block)',
      parseSparsity,
    )
    .addOption(choice('--activation <name>', 'gate of the feed-forward', ACTIVATIONS))
    .addOption(choice('--gradient <name>', 'gradient through the selection', GRADIENTS))
    .addOption(choice('--rescale <name>', 're-scale what is kept by its norm', RESCALES))
    .addOption(choice('--activation-format <name>', 'what projections multiply: int8 rounds it', ACTIVATION_FORMATS));
  whole(command, '--block-size <n>', 'features of a block of --sparsifier block (default: 32)', 1);
  real(command, '--hidden-l1 <x>', 'coefficient of the L1 term on hidden activations');
}

/** What --sparsity says: shares, and with KEPT:BLOCK the size of the blocks. */
export interface SparsityOption {
  readonly shares: number | Partial<Record<Point, Sparsity>>;
  readonly blockSize?: number;
}

/** `0.6` for one number, `qkv=0.6,down=0` by point, `16:32` in blocks; the names of points are checked by resolveConfig. */
export function parseSparsity(text: string): SparsityOption {
  if (text.includes(':')) return parseBlocks(text);
  if (!text.includes('=')) return { shares: parseShare('--sparsity')(text) };
  const shares: Record<string, number> = {};
  for (const part of text.split(',')) {
    const [point, share, ...rest] = part.split('=').map((side) => side.trim());
    if (!point || share === undefined || rest.length > 0) {
      throw new UsageError('--sparsity', `expected POINT=SHARE with commas between them, got "${part}".`);
    }
    if (point in shares) throw new UsageError('--sparsity', `${point} is given twice. Give each point once.`);
    shares[point] = parseShare(`--sparsity ${point}`)(share);
  }
  return { shares };
}

function parseBlocks(text: string): SparsityOption {
  const [, kept, blockSize] = (/^(\d+):(\d+)$/.exec(text.trim()) ?? []).map(Number);
  if (!(kept >= 1 && kept <= blockSize)) {
    throw new UsageError('--sparsity', `expected KEPT:BLOCK with 1 to BLOCK kept, such as 16:32, got "${text}".`);
  }
  const share = (blockSize - kept) / blockSize;
  // The quotient times the size may fall short of the whole number: then the next number above it.
  const shares = keptCount(share, blockSize) === kept ? share : share * (1 + Number.EPSILON);
  return { shares, blockSize };
}

/** A number of blocks says which sparsifier is meant. Throws UsageError where another option says otherwise. */
function sparsifierFieldsOf({ sparsifier, sparsity, blockSize }: MethodOptions): Partial<ModelConfigInput> {
  const fields = { sparsity: sparsity?.shares, sparsifier, blockSize };
  if (sparsity?.blockSize === undefined) return given(fields);
  if (sparsifier !== undefined && sparsifier !== 'block') {
    const got = `got --sparsifier ${sparsifier}`;
    throw new UsageError('--sparsity', `KEPT:BLOCK is for --sparsifier block, ${got}. Leave it out, or give a share.`);
  }
  if (blockSize !== undefined && blockSize !== sparsity.blockSize) {
    throw new UsageError(
      '--sparsity',
      `blocks of ${sparsity.blockSize} against --block-size ${blockSize}. Leave one out.`,
    );
  }
  return given({ ...fields, sparsifier: 'block' as const, blockSize: sparsity.blockSize });
}

/** Throws UsageError for --block-size where the model is not sparse in blocks. */
export function refuseBlockSize({ blockSize }: MethodOptions, { sparsifier }: ModelConfig): void {
  if (blockSize === undefined || sparsifier === 'block') return;
  throw new UsageError('--block-size', `is for --sparsifier block, got ${sparsifier}. Leave it out, or choose block.`);
}

/** The fields of the model that options give. */
export function methodFieldsOf(options: MethodOptions): Partial<ModelConfigInput> {
  return given({
    ...sparsifierFieldsOf(options),
    activation: options.activation,
    gradient: options.gradient,
    rescale: options.rescale,
    hiddenL1: options.hiddenL1,
    activationFormat: options.activationFormat,
  });
}
