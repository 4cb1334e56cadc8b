import { describe, expect, it } from 'vitest';
import { lawForm } from '../../scaling/law-form.ts';
import { printedLaws } from './law-constants.ts';
import { refuseIdleOptions } from './plan.ts';

describe('options of a plan', () => {
  const [law] = printedLaws();
  const withTokens = { ...law, form: lawForm('exponential', { tokens: true }) };

  it('are refused where nothing asks for what they say', () => {
    expect(() => refuseIdleOptions({ speed: 'speed.json' }, [law])).toThrow(/^\[--speed\] is for .* --ms-per-token/);
    expect(() => refuseIdleOptions({ tokens: 1e9 }, [law])).toThrow(/^\[--tokens\] is for laws with a term for them/);
  });

  it('are taken where something does', () => {
    refuseIdleOptions({ speed: 'speed.json', msPerToken: 20 }, [law]);
    refuseIdleOptions({ tokens: 1e9 }, [law, withTokens]);
    refuseIdleOptions({}, [law]);
  });
});
