/** Sizes at which something is measured, each larger than the one before. */
import { HarmonidError } from '../errors.js';

/** @throws INVALID_ARGUMENT unless `values` are ascending whole numbers from 1 to `max` */
export function requireAscending(name: string, values: readonly number[], max: number): void {
  const wrong = values.some(
    (value, i) => !Number.isInteger(value) || value < 1 || value > max || value <= (values[i - 1] ?? 0),
  );
  if (wrong)
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `${name} are ${values.join(', ')}; whole numbers from 1 to ${max} are wanted, each larger than the one before`,
      { details: { [name]: values } },
    );
}
