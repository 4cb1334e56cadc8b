/** kvOption: how the keys and values of a text are stored, for every command that runs a model. */

import { Option } from 'commander';
import { KV_TYPES, type KvType } from '../../tensor/kv-slots.ts';
import { parseChoice } from './common-options.ts';

const DEFAULT: KvType = 'f32';

/** --kv; its value is a KvType, f32 where it is left out. */
export function kvOption(): Option {
  return new Option('--kv <type>', `how keys and values are stored: ${KV_TYPES.join(', ')}`)
    .argParser(parseChoice('--kv', KV_TYPES))
    .default(DEFAULT);
}
