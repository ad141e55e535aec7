import { Counter, type Registry } from 'prom-client';
import { prefix } from './naming.ts';

export type CountFound = (found: { unknown: number; resurfaced: number }) => void;

/** Living chains that nobody had told of, and chains that were confirmed dead and are alive: both point at the Auth Module. */
export function createCountFound(registry: Registry): CountFound {
  const counter = (name: string, help: string) => new Counter({ name: prefix + name, help, registers: [registry] });
  const unknown = counter(
    'sweep_finds_total',
    'Living chains found at the Auth Module that were not in the books of any termination.',
  );
  const resurfaced = counter(
    'resurfaced_chains_total',
    'Chains that the Auth Module had confirmed dead and shows as alive.',
  );
  return (found) => {
    unknown.inc(found.unknown);
    resurfaced.inc(found.resurfaced);
  };
}
