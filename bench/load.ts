import autocannon, { type Options, type Result } from 'autocannon';

/** Puts load on the API; throws where an answer was not 2xx, for a fast refusal is no figure. */
export async function runLoad(options: Options): Promise<Result> {
  const result = await autocannon(options);
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} answers were not 2xx, ${result.errors} calls failed`);
  return result;
}
